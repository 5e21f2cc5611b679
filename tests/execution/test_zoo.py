"""Two steps of a run with tiny models of the field's architectures, interrupted and resumed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.zoo import REFUSED, ZOO, tried


@pytest.mark.parametrize("peft", ["none", "lora"])
@pytest.mark.parametrize("name", [name for name in ZOO if name not in REFUSED])
def test_every_architecture_is_trained_and_goes_on_where_it_was_interrupted(
    tmp_path: Path, name: str, peft: str
) -> None:
    tried(tmp_path, name, learner="rl", peft=peft, sampler="transformers")


@pytest.mark.slow
@pytest.mark.parametrize("learner", ["prompt", "fst", "rl-kl"])
@pytest.mark.parametrize(
    ("name", "peft"), [("Gemma 3", "none"), ("Qwen3-MoE", "lora"), ("Jamba", "none")]
)
def test_other_learners_are_trained_on_architectures_that_differ_most(
    tmp_path: Path, name: str, peft: str, learner: str
) -> None:
    tried(tmp_path, name, learner=learner, peft=peft, sampler="transformers")
