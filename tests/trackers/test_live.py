"""Tracking while a run runs: the same tables, one tracked run over resumes, harmless failures."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import cl_bench
from cl_bench.api import resume
from cl_bench.contract.errors import UsageError
from cl_bench.contract.records import StepRecord
from cl_bench.contract.stream import Stage, Stream
from cl_bench.execution.progress import Quiet
from cl_bench.store.run_directory import RunDirectory
from cl_bench.trackers import live
from tests.trackers.conftest import spent, until

Calls = Callable[[], list[dict[str, Any]]]
SMALL: dict[str, Any] = {
    "stream": "math",
    "learner": "prompt",
    "setting": "easy",
    "steps": 2,
    "eval_every": 1,
    "problems_per_step": 2,
    "group_size": 4,
    "round_every": 2,
    "population": 2,
    "proposals": 1,
    "round_exercises": 1,
    "items": 1,
    "samples": 1,
    "retention_items": 0,
    "probes": False,
    "max_new_tokens": 4,
}
TABLES = ("evaluations", "items", "steps", "prompts", "ledger")


@pytest.fixture(scope="module")
def untracked(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> cl_bench.Run:
    out = tmp_path_factory.mktemp("untracked") / "run"
    return cl_bench.run(out=out, model=str(tiny_model), **SMALL)


class Notes(Quiet):
    """Keeps the lines, and interrupts a run at a step, as Ctrl-C would."""

    def __init__(self, stop: int = -1) -> None:
        self.lines: list[str] = []
        self._stop = stop

    def step(self, step: int, stage: int, record: object) -> None:
        if step == self._stop:
            raise KeyboardInterrupt

    def note(self, line: str) -> None:
        self.lines.append(line)


def assert_same(one: cl_bench.Run, other: cl_bench.Run) -> None:
    for table in TABLES:
        frames = [run.table(table).drop(columns="seconds", errors="ignore") for run in (one, other)]
        pd.testing.assert_frame_equal(*frames)


def steps_of(calls: Calls, metric: str, log: str, key: str) -> list[int]:
    """The steps at which a metric was logged, in order."""
    return [call["step"] for call in calls() if call["call"] == log and metric in (call[key] or {})]


def test_a_tracked_run_has_the_same_tables_and_sends_all_of_them(
    untracked: cl_bench.Run, tiny_model: Path, tmp_path: Path, calls: Calls
) -> None:
    notes, out = Notes(), tmp_path / "run"
    track = ["trackio", "mlflow"]
    run = cl_bench.run(out=out, model=str(tiny_model), track=track, progress=notes, **SMALL)
    assert_same(run, untracked)
    assert run.manifest["config_hash"] == untracked.manifest["config_hash"]
    assert steps_of(calls, "train/reward", "log", "metrics") == [1, 2]
    assert steps_of(calls, "train/reward", "log_batch", "metrics") == [1, 2]
    for metric in ("eval/math/learner/accuracy", "ledger/rollouts"):
        assert steps_of(calls, metric, "log", "metrics") == [0, 1, 2]
    assert steps_of(calls, "prompts/population", "log", "metrics")
    assert steps_of(calls, "summary/average_accuracy", "log", "metrics") == [2]
    assert [call["status"] for call in calls() if call["call"] == "set_terminated"] == ["FINISHED"]
    told = sorted(line.partition(":")[0] for line in notes.lines if line.startswith("tracked"))
    assert told == ["tracked by mlflow", "tracked by trackio"]


def test_a_resumed_run_goes_on_with_its_tracked_run_and_sends_nothing_twice(
    untracked: cl_bench.Run, tiny_model: Path, tmp_path: Path, calls: Calls
) -> None:
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        cl_bench.run(
            out=out, model=str(tiny_model), track="trackio", progress=Notes(stop=2), **SMALL
        )
    held = json.loads((out / "tracking" / "trackio.json").read_text())
    assert held["sent"] == {"rows": 1, "steps": 1}
    run = resume(out, track="mlflow")
    assert_same(run, untracked)
    names = [call["name"] for call in calls() if call["call"] == "init"]
    assert names == [held["key"]["name"]] * 2
    # mlflow came in on the way and was sent the past, too.
    for log in ("log", "log_batch"):
        assert steps_of(calls, "train/reward", log, "metrics") == [1, 2]
        assert steps_of(calls, "ledger/rollouts", log, "metrics") == [0, 1, 2]


def drive(directory: RunDirectory, names: Sequence[str] = ("trackio",)) -> None:
    """What a run would tell its trackers, which begin at step 2 of one that is recorded."""
    stream = Stream("math", (Stage("math", 4, "easy"),))
    with live.tracked(directory.path, names, Quiet()) as told:
        told.start(stream, "fst", 2)
        for step in (3, 4):
            told.step(step, 0, StepRecord(0.5, 1.0, 0.1, 0.2, 0.3, 4.0, 0.1))
            until(lambda: False, 0.3)  # a moment for a tracker to fail in
        told.recorded({"ledger": [spent(4, "slow"), spent(4, "fast")]})


@pytest.mark.usefixtures("calls")
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("init:raise", "OSError: No space left on device; key [hidden]"),
        ("log@2:raise", "OSError: No space left on device; key [hidden]"),
        ("log@3:exit", "its process ended (7)"),
        ("finish:raise", "OSError: No space left on device; key [hidden]"),
    ],
)
def test_a_failing_tracker_is_one_warning_and_no_error(
    recorded: RunDirectory,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fault: str,
    reason: str,
) -> None:
    monkeypatch.setenv("TRACKER_FAULT", fault)
    monkeypatch.setenv("SOME_API_KEY", "sekrit-token-1")
    drive(recorded)
    (warning,) = [record.getMessage() for record in caplog.records]
    assert warning.startswith("The tracker trackio is off")
    assert reason in warning
    assert str(recorded.path / "tracking" / "trackio.log") in warning


def test_one_failing_tracker_leaves_the_others_alone(
    recorded: RunDirectory, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKER_FAULT", "init:raise")
    drive(recorded, ["trackio", "mlflow"])
    assert steps_of(calls, "train/reward", "log_batch", "metrics") == [1, 2, 3, 4]


@pytest.mark.usefixtures("calls")
def test_a_hanging_tracker_is_given_up_when_the_run_has_ended(
    recorded: RunDirectory,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("TRACKER_FAULT", "log@1:hang")
    monkeypatch.setattr(live, "_PATIENCE", 1)
    drive(recorded)
    assert caplog.text.count("not all was sent in time") == 1


@pytest.mark.usefixtures("calls")
def test_a_fault_of_tracking_itself_is_one_warning(
    recorded: RunDirectory,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(live, "of_step", broken)
    drive(recorded)
    assert caplog.text.count("RuntimeError: a bug") == 1


def test_a_library_that_is_gone_on_a_resume_is_a_warning(
    recorded: RunDirectory,
    calls: Calls,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    drive(recorded)
    assert live.noted(recorded.path) == ("trackio",)
    before = len(calls())
    monkeypatch.setattr(live, "installed", lambda _: False)
    drive(recorded)
    assert "pip install 'cl-bench[trackio]'" in caplog.text
    assert len(calls()) == before


@pytest.mark.parametrize(("status", "told"), [("failed", "FAILED"), ("running", "KILLED")])
def test_how_the_run_ended_is_told(
    recorded: RunDirectory, calls: Calls, status: str, told: str
) -> None:
    recorded.update_manifest(status=status)
    drive(recorded, ["mlflow"])
    assert [call["status"] for call in calls() if call["call"] == "set_terminated"] == [told]
    assert steps_of(calls, "summary/rollouts", "log_batch", "metrics") == []


def test_nothing_is_written_when_a_library_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cl_bench.trackers.installed", lambda _: False)
    with pytest.raises(UsageError, match=r"pip install 'cl-bench\[mlflow\]'"):
        cl_bench.run(out=tmp_path / "run", track="mlflow", **SMALL)
    assert not (tmp_path / "run").exists()
