"""Pretraining: a resumable loop over phases that leaves an ordinary model folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

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


@pytest.mark.parametrize("layers", [2, 4])
def test_the_model_has_the_layers_it_was_asked_for(layers: int, tmp_path: Path) -> None:
    train(replace(CONFIG, steps=1, layers=layers), tmp_path / "model", silent)
    model = Policy.load(str(tmp_path / "model")).model
    assert model.config.layer_types == ["conv", "full_attention"] * (layers // 2)
