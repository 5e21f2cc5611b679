"""The grid: all combinations, seed by seed, and nothing begins that cannot work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cl_bench.contract.errors import UsageError
from cl_bench.sweep.cell import Cell
from cl_bench.sweep.grid import grid


def test_every_learner_meets_every_stream_seed_by_seed() -> None:
    found = grid(["math", "code"], ["rl", "fst"], [3, 1], steps=4, options={"items": 8})
    assert found == [
        Cell(stream, learner, seed, 4, {"items": 8})
        for seed in (3, 1)
        for stream in ("math", "code")
        for learner in ("rl", "fst")
    ]


def test_a_wrong_option_is_told_with_what_any_of_the_learners_has() -> None:
    with pytest.raises(UsageError, match=r"Did you mean 'population'.*learning_rate.*population"):
        grid(["math"], ["rl", "fst"], [0], options={"populatio": 1})
    with pytest.raises(UsageError, match=r"kl_beta is not a setting of prompt, but of rl"):
        grid(["math"], ["prompt"], [0], options={"kl_beta": 1.0})


def test_an_option_may_be_one_learners() -> None:
    options = {"learning_rate": 1e-4, "fst.learning_rate": 3e-4, "fst.population": 2}
    by_learner = {
        cell.learner: cell.options for cell in grid(["math"], ["rl", "fst"], [0], options=options)
    }
    assert by_learner == {
        "rl": {"learning_rate": 1e-4},
        "fst": {"learning_rate": 3e-4, "population": 2},
    }


def test_without_steps_a_run_has_those_of_its_stream() -> None:
    (cell,) = grid(["paper"], ["rl"], [0])
    assert cell.arguments(Path())["steps"] is None
    assert cell.name != grid(["paper"], ["rl"], [0], steps=200)[0].name


def test_a_preset_brings_the_model_that_it_is_made_for() -> None:
    (cell,) = grid(["math"], ["rl"], [0], options={"preset": "qwen3-0.6b"})
    assert cell.arguments(Path())["model"] == "Qwen/Qwen3-0.6B"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"streams": ["mth"]}, "Did you mean 'math'"),
        ({"learners": ["rl", "gepa"]}, "Unknown learner 'gepa'"),
        ({"seeds": [-1]}, "seed is -1"),
        ({"steps": 0}, "steps is 0"),
        ({"options": {"lerning_rate": 1.0}}, "Did you mean 'learning_rate'"),
        ({"options": {"items": 0}}, "items is 0"),
        ({"options": {"setting": "odd"}}, "Unknown setting of math 'odd'"),
        ({"options": {"out": "there"}}, "out cannot be set for all runs alike"),
        ({"options": {"rl.seed": 1}}, "rl.seed cannot be set for all runs alike"),
        ({"options": {"fst.items": 8}}, "Unknown learner of this sweep 'fst'. Known: rl"),
        ({"options": {"rl.population": 2}}, "population is not a setting of rl, but of prompt"),
        ({"options": {"rl.rollouts": 128}}, "all have the same stream. Type rollouts"),
        ({"options": {"rl.items": 0}}, "items is 0"),
        ({"model": ""}, "model is ''"),
    ],
)
def test_what_cannot_work_is_told_before_a_run_begins(wrong: dict[str, Any], told: str) -> None:
    right: dict[str, Any] = {"streams": ["math"], "learners": ["rl"], "seeds": [0]}
    with pytest.raises(UsageError, match=told):
        grid(**{**right, **wrong})
