"""Pretraining: a resumable loop over phases that leaves an ordinary model folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cl_bench.contract.errors import UsageError
from cl_bench.contract.prompts import chat
from cl_bench.model.policy import Policy
from cl_bench.tools.embedded.corpus import TrainingConfig, phase
from cl_bench.tools.embedded.training import train

CONFIG = TrainingConfig(
    steps=6, tokens_per_batch=512, width=32, layers=2, heads=2, warmup=2, compile=False
)


def silent(_: str) -> None:
    pass


def test_phases_go_from_simple_over_all_to_careless() -> None:
    config = replace(CONFIG, steps=1000, simple=0.1, slips_from=0.6)
    assert [phase(step, config).simple for step in (0, 99, 100, 999)] == [True, True, False, False]
    assert [phase(step, config).slips for step in (0, 599, 600, 999)] == [False, False, True, True]


def test_training_lowers_the_loss_and_leaves_a_loadable_model(tmp_path: Path) -> None:
    lines: list[str] = []
    train(replace(CONFIG, steps=200, simple=1.0), tmp_path / "model", lines.append)
    losses = [float(line.split()[3].rstrip(",")) for line in lines]
    assert losses[-1] < losses[0] < 6.0
    policy = Policy.load(str(tmp_path / "model"))
    rollout = policy.generate([chat("solve step by step .", "math : one f : 4")], max_new_tokens=4)
    assert len(rollout[0].completion_ids) <= 4


def test_an_interrupted_training_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    train(replace(CONFIG, steps=3), tmp_path / "model", silent)
    before = torch.load(tmp_path / "model" / "checkpoint.pt", weights_only=True)
    train(CONFIG, tmp_path / "model", silent)
    after = torch.load(tmp_path / "model" / "checkpoint.pt", weights_only=True)
    assert (before["state"]["step"], after["state"]["step"]) == (3, 6)
    assert after["state"]["documents"] > before["state"]["documents"]


def test_a_checkpoint_of_another_training_is_refused_and_stays(tmp_path: Path) -> None:
    home = tmp_path / "model"
    train(replace(CONFIG, steps=2), home, silent)
    before = (home / "checkpoint.pt").read_bytes()
    for changes, said in (
        ({"width": 64}, r"training with width 32, but width is 64\. Give width as it was"),
        ({"seed": 5, "steps": 2}, "training with seed 0, but seed is 5"),
        ({"muon_lr": 0.5}, "training with muon_lr 0.02, but muon_lr is 0.5"),
        ({"steps": 1}, "is of step 2, but steps is 1"),
    ):
        with pytest.raises(UsageError, match=said):
            train(replace(CONFIG, **changes), home, silent)
    assert (home / "checkpoint.pt").read_bytes() == before


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ({"layers": 3}, "layers is 3, but must be an even number"),
        ({"width": 130, "heads": 4}, "width is 130 with heads=4, .* as in width=128"),
        ({"width": 2, "heads": 256}, "width is 2 with heads=256, .* as in width=512"),
        ({"width": 12, "heads": 4}, "must be a multiple of twice the heads, as in width=8"),
    ],
)
def test_a_size_that_no_such_model_has_is_refused(size: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        TrainingConfig(**size)


@pytest.mark.parametrize("layers", [2, 4])
def test_the_model_has_the_layers_it_was_asked_for(layers: int, tmp_path: Path) -> None:
    train(replace(CONFIG, steps=1, layers=layers), tmp_path / "model", silent)
    model = Policy.load(str(tmp_path / "model")).model
    assert model.config.layer_types == ["conv", "full_attention"] * (layers // 2)
