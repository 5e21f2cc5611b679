"""Calibrated cells: each learner's own settings, and the samples of everybody."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from cl_bench.claims.settings import Settings, calibrated
from cl_bench.contract.errors import RunDirectoryError, UsageError
from cl_bench.contract.stream import Stage, Stream
from cl_bench.contract.stream_names import stream
from cl_bench.sweep.cell import Cell

SETTINGS: Settings = {
    "rl": {"learning_rate": 0.5, "problems_per_step": 16},
    "prompt": {"proposals": 3},
}


def test_larger_steps_are_fewer_and_evaluated_after_fewer() -> None:
    rl, prompt = calibrated(
        [Cell("paper", "rl", 0, 0), Cell("paper", "prompt", 0, 0, {"items": 8})], SETTINGS
    )
    large = {"learning_rate": 0.5, "problems_per_step": 16, "eval_every": 10}
    assert rl == Cell("paper", "rl", 0, 100, large)
    assert prompt == Cell("paper", "prompt", 0, 200, {"proposals": 3, "items": 8, "eval_every": 20})


def test_what_is_given_stays_and_steps_are_those_of_the_default_size() -> None:
    given = {"learning_rate": 0.25, "group_size": 4, "eval_every": 3}
    (cell,) = calibrated([Cell("math", "rl-kl", 1, 7, given, model="mine")], SETTINGS)
    options = {"learning_rate": 0.25, "problems_per_step": 16, "group_size": 4, "eval_every": 3}
    assert cell == Cell("math", "rl-kl", 1, 7, options, model="mine")


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        (Cell("math", "rl", 0, 5), "steps is 5, .* steps of rl have 128, .* Give a multiple of 2"),
        (Cell("math", "rl", 0, 4, {"eval_every": 1}), "eval_every is 1, .* a multiple of 2"),
        (Cell("uneven", "rl", 0, 0), "The stages of uneven have 2, 4 training steps"),
    ],
)
def test_what_has_no_whole_number_of_steps_is_refused(
    cell: Cell, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    uneven = Stream("uneven", (Stage("math", 2), Stage("code", 4)))
    find = partial(_find, uneven)
    monkeypatch.setattr("cl_bench.claims.settings.stream", find)
    with pytest.raises(UsageError, match=told):
        calibrated([cell], SETTINGS)


def test_nobody_elses_settings_are_taken() -> None:
    with pytest.raises(RunDirectoryError, match="no settings for the learner fst"):
        calibrated([Cell("math", "fst", 0, 4)], SETTINGS)


def _find(added: Stream, name: str, **options: Any) -> Stream:
    return added if name == added.name else stream(name, **options)
