"""Two steps of a run with tiny models of the field's architectures, interrupted and resumed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.zoo import LEARNERS, ZOO, tried

REFUSED = ("Mamba", "RWKV")
"""See tests/model/test_trial.py."""
NAMES = [name for name in ZOO if name not in REFUSED]


@pytest.mark.parametrize("peft", ["none", "lora"])
@pytest.mark.parametrize("name", NAMES)
def test_every_architecture_is_trained_and_goes_on_where_it_was_interrupted(
    tmp_path: Path, name: str, peft: str
) -> None:
    tried(tmp_path, name, learner="rl", peft=peft, sampler="transformers")


@pytest.mark.slow
@pytest.mark.parametrize("learner", [*LEARNERS[1:], "fst-distill"])
@pytest.mark.parametrize("peft", ["none", "lora"])
@pytest.mark.parametrize("name", NAMES)
def test_every_architecture_is_trained_by_every_kind_of_learner(
    tmp_path: Path, name: str, peft: str, learner: str
) -> None:
    tried(tmp_path, name, learner=learner, peft=peft, sampler="transformers")
