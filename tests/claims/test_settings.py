"""Settings: whose they are, and what is said when they are missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cl_bench.claims import ablations, plan
from cl_bench.claims.calibration import LEARNERS, SETTINGS
from cl_bench.claims.registered import cells
from cl_bench.claims.settings import CLAIMED, options_of, read_settings, untried
from cl_bench.cli.app import app
from cl_bench.contract.errors import RunDirectoryError

FOUND = {learner: {"learning_rate": 1e-4} for learner in LEARNERS}


def test_the_settings_in_use_serve_every_run_of_the_claims_and_ablations() -> None:
    planned = plan.plan("small", 1, settings=read_settings(SETTINGS))
    every = [*cells(planned, planned.subject.claims), *ablations.cells(planned)]
    assert {*LEARNERS} <= {cell.learner for cell in every} <= {*LEARNERS, *untried()}


def test_a_learner_without_trials_takes_those_of_the_reference_and_nobody_else_does() -> None:
    settings = {name: FOUND[name] for name in CLAIMED} | {"rl": {"learning_rate": 3e-4}}
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


def test_nobody_elses_settings_are_taken() -> None:
    with pytest.raises(RunDirectoryError, match="no settings for the learner fst"):
        options_of("fst", {"rl": {"learning_rate": 0.5}})
