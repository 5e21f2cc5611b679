"""The runs of a reference, made again: with a tiny model, whose numbers do not matter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cl_bench.cli.app import app
from cl_bench.contract.errors import UsageError
from cl_bench.contract.stream_names import stream
from cl_bench.execution.progress import Quiet
from cl_bench.execution.runner import Runner
from cl_bench.execution.settings import configure
from cl_bench.gate.reference import rerun
from cl_bench.gate.regression import check
from cl_bench.store.run_tables import open_run

SMALL: dict[str, Any] = {
    "problems_per_step": 2, "group_size": 2, "max_new_tokens": 6, "eval_every": 1,
    "items": 2, "samples": 2, "retention_items": 0, "probes": False,
}  # fmt: skip


def make(path: Path, model: Path, version: str | None = None) -> Path:
    course = stream("math-to-code", steps=1, setting="easy")
    course = replace(course, version=version or course.version)
    config = configure(learner="rl", model=str(model), seed=4, threads=1, **SMALL)
    Runner.start(path / "first", course, config, Quiet())
    return path


def test_a_rerun_is_the_same_run_under_a_name_of_its_own(tiny_model: Path, tmp_path: Path) -> None:
    reference = make(tmp_path / "reference", tiny_model)
    new = tmp_path / "new"
    result = CliRunner().invoke(app, ["reference", "rerun", str(reference), "--out", str(new)])
    assert result.exit_code == 0, result.stderr
    assert f"cl-bench check {new} --against {reference}" in result.stdout
    (path,) = (file.parent for file in new.rglob("manifest.json"))
    assert path.relative_to(new).parts[0] == "math-to-code"
    assert path.name.startswith("rl-4")
    report = check([new], reference)
    assert (report.verdict, report.coverage[0].identical) == ("pass", True)
    with pytest.raises(UsageError, match="no run of seed 5, but of 4"):
        rerun(reference, tmp_path / "other", seeds=[5], say=print)


def test_a_rerun_is_of_todays_streams(tiny_model: Path, tmp_path: Path) -> None:
    reference = make(tmp_path / "reference", tiny_model, version="0")
    (path,) = rerun(reference, tmp_path / "new", say=lambda _: None)
    assert open_run(path).manifest["stream"]["version"] == "1"
    with pytest.raises(UsageError, match="stream version 1 against 0"):
        check([path], reference)
