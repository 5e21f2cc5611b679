"""Settings: whose they are, and what is said when they are missing."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cl_bench.claims import ablations, plan
from cl_bench.claims.calibration import LEARNERS, SETTINGS
from cl_bench.claims.registered import cells
from cl_bench.claims.reproduce import ALL
from cl_bench.claims.settings import Settings, calibrated, options_of, read_settings, untried
from cl_bench.cli.app import app
from cl_bench.contract.errors import RunDirectoryError, UsageError
from cl_bench.contract.stream import Stage, Stream
from cl_bench.contract.stream_names import stream
from cl_bench.sweep.cell import Cell

FOUND = {learner: {"learning_rate": 1e-4} for learner in LEARNERS}


def test_the_settings_in_use_serve_every_run_of_the_claims_and_ablations() -> None:
    planned = plan.plan("small", 1, settings=read_settings(SETTINGS))
    every = [*cells(planned, ALL), *ablations.cells(planned)]
    assert {*LEARNERS} <= {cell.learner for cell in every} <= {*LEARNERS, *untried()}


def test_a_learner_without_trials_takes_those_of_the_reference_and_nobody_else_does() -> None:
    settings = FOUND | {"rl": {"learning_rate": 3e-4}}
    assert {name: options_of(name, settings)["learning_rate"] for name in untried()} == (
        dict.fromkeys(untried(), 3e-4)
    )
    assert options_of("rl-kl", settings | {"rl-kl": {"learning_rate": 1.0}})["learning_rate"] == 1.0
    with pytest.raises(RunDirectoryError, match="learner fst; there are for rl"):
        options_of("fst", {"rl": {}})
    with pytest.raises(
        RunDirectoryError, match="rl-kl, which takes those of rl; there are for fst"
    ):
        options_of("rl-kl", {"fst": {}})


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (None, "There is no settings.json: no learner has settings yet. `cl-bench calibrate`"),
        ("{", "settings.json is damaged: it is not whole JSON"),
        ("[]", "settings.json is damaged: it does not hold options by learner"),
        ('{"rl": 3}', "settings.json is damaged: it does not hold options by learner"),
        (
            json.dumps({"rl": {}, "fst": {}}),
            "settings.json has no settings for prompt, fst-distill. `cl-bench calibrate --learners",
        ),
    ],
)
def test_missing_settings_are_one_line_that_says_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, hint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plan, "SETTINGS", Path("settings.json"))
    if content is not None:
        Path("settings.json").write_text(content)
    result = CliRunner().invoke(app, ["reproduce", "--claims", "10"])
    assert result.exit_code == 2
    assert hint in " ".join(result.stderr.split())
    assert [path.name for path in tmp_path.iterdir()] == ["settings.json"] * (content is not None)


def test_whole_settings_are_read(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(json.dumps(FOUND))
    assert read_settings(tmp_path / "settings.json") == FOUND


CHOSEN: Settings = {
    "rl": {"learning_rate": 0.5, "problems_per_step": 16},
    "prompt": {"proposals": 3},
}


def test_larger_steps_are_fewer_and_evaluated_after_fewer() -> None:
    rl, prompt = calibrated(
        [Cell("paper", "rl", 0, 0), Cell("paper", "prompt", 0, 0, {"items": 8})], CHOSEN
    )
    large = {"learning_rate": 0.5, "problems_per_step": 16, "eval_every": 10}
    assert rl == Cell("paper", "rl", 0, 100, large)
    assert prompt == Cell("paper", "prompt", 0, 200, {"proposals": 3, "items": 8, "eval_every": 20})


def test_what_is_given_stays_and_steps_are_those_of_the_default_size() -> None:
    given = {"learning_rate": 0.25, "group_size": 4, "eval_every": 3}
    (cell,) = calibrated([Cell("math", "rl-kl", 1, 7, given, model="mine")], CHOSEN)
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
        calibrated([cell], CHOSEN)


def test_nobody_elses_settings_are_taken() -> None:
    with pytest.raises(RunDirectoryError, match="no settings for the learner fst"):
        calibrated([Cell("math", "fst", 0, 4)], CHOSEN)


def _find(added: Stream, name: str, **options: Any) -> Stream:
    return added if name == added.name else stream(name, **options)
