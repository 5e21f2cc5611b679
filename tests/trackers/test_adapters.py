"""Each adapter against a recorded fake of its library: what is called, on a resume too."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cl_bench.contract.errors import TrackerError, UsageError
from cl_bench.store.run_directory import RunDirectory
from cl_bench.trackers import TRACKERS, chosen, installed, tracker
from cl_bench.trackers.values import send, tracked_run

Calls = Callable[[], list[dict[str, Any]]]


def named(calls: Calls, name: str) -> list[dict[str, Any]]:
    return [call for call in calls() if call["call"] == name]


def test_wandb_has_its_own_axis_and_escapes_texts(
    calls: Calls, recorded: RunDirectory, tmp_path: Path
) -> None:
    started = send(recorded, "wandb", tracker("wandb"), tmp_path / "files")
    (begun,) = named(calls, "init")
    assert begun["id"] == started.key["id"]
    assert (begun["project"], begun["name"], begun["group"]) == ("cl-bench", "recorded", "math")
    assert begun["config"]["config.learning.group_size"] == 4
    assert named(calls, "define_metric")[1] == {
        "call": "define_metric",
        "step": None,
        "name": "*",
        "step_metric": "step",
    }
    logged = named(calls, "log")
    assert [call["step"] for call in logged] == [0, 1, 2, 2, 2, 2]
    assert logged[1]["data"]["train/reward"] == 0.5
    shown = logged[4]["data"]["prompts/population"]
    assert "&lt;/pre&gt;&lt;script&gt;" in shown
    assert "<script>" not in shown
    (ended,) = named(calls, "finish")
    assert (ended["exit_code"], ended["summary"]) == (0, {"status": "done"})


def test_wandb_goes_on_with_its_run(calls: Calls, recorded: RunDirectory, tmp_path: Path) -> None:
    first = tracker("wandb").start(tracked_run(recorded, tmp_path), None)
    second = tracker("wandb").start(tracked_run(recorded, tmp_path), first.key)
    assert first.key == second.key
    ids = {(call["id"], call["resume"]) for call in named(calls, "init")}
    assert ids == {(first.key["id"], "allow")}


def test_trackio_logs_at_the_stream_s_steps(
    calls: Calls, recorded: RunDirectory, tmp_path: Path
) -> None:
    started = send(recorded, "trackio", tracker("trackio"), tmp_path / "files")
    (begun,) = named(calls, "init")
    assert begun["name"] == started.key["name"]
    assert begun["name"].startswith("recorded-")
    logged = named(calls, "log")
    assert [call["step"] for call in logged] == [0, 1, 2, 2, 2, 2]
    assert logged[4]["metrics"]["prompts/population"].startswith("Markdown('**Round 1**")
    assert logged[5]["metrics"]["summary/rollouts"] == 12
    assert len(named(calls, "finish")) == 1


def test_what_trackio_only_warns_of_counts_as_a_failure(
    calls: Calls, recorded: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKER_FAULT", "warn@1")
    monkeypatch.setattr("warnings.showwarning", lambda *_: None)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with pytest.raises(TrackerError, match="this batch could not be persisted"):
            send(recorded, "trackio", tracker("trackio"), tmp_path / "files")
    assert [call["step"] for call in named(calls, "log")] == [0, 1]


def test_mlflow_has_parameters_metrics_and_artifacts(
    calls: Calls, recorded: RunDirectory, tmp_path: Path
) -> None:
    send(recorded, "mlflow", tracker("mlflow"), tmp_path / "files")
    (begun,) = named(calls, "create_run")
    assert (begun["experiment"], begun["run_name"]) == ("7", "recorded")
    assert begun["tags"] == {"stream": "math", "learner": "fst"}
    parameters, *logged = named(calls, "log_batch")
    assert parameters["params"]["config.learning.group_size"] == "4"
    assert [call["step"] for call in logged] == [0, 1, 2, 2, 2]
    assert logged[1]["metrics"]["train/reward"] == 0.5
    (text,) = named(calls, "log_text")
    assert text["file"] == "prompts/population/step-000002.md"
    assert named(calls, "set_terminated") == [
        {"call": "set_terminated", "step": None, "run": "run-1", "status": "FINISHED"}
    ]


def test_mlflow_goes_on_with_its_run(calls: Calls, recorded: RunDirectory, tmp_path: Path) -> None:
    first = tracker("mlflow").start(tracked_run(recorded, tmp_path), None)
    tracker("mlflow").start(tracked_run(recorded, tmp_path), first.key)
    assert first.key == {"uri": "http://tracking.example", "run": "run-1"}
    assert len(named(calls, "create_run")) == 1
    (again,) = named(calls, "update_run")
    assert (again["run"], again["status"]) == ("run-1", "RUNNING")


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_how_a_run_ended_is_told(
    calls: Calls, recorded: RunDirectory, tmp_path: Path, status: str
) -> None:
    recorded.update_manifest(status=status)
    for name in ("wandb", "mlflow"):
        send(recorded, name, tracker(name), tmp_path / "files")
    assert named(calls, "finish")[0]["exit_code"] == 1
    assert named(calls, "set_terminated")[0]["status"] == "FAILED"
    assert not any("summary/" in str(call) for call in calls())


@pytest.mark.usefixtures("calls")
def test_a_tracker_that_fails_is_one_line_without_keys(
    recorded: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "sekrit-token-1")
    monkeypatch.setenv("TRACKER_FAULT", "log@1:raise")
    with pytest.raises(TrackerError) as raised:
        send(recorded, "wandb", tracker("wandb"), tmp_path / "files")
    assert "wandb did not take the run" in str(raised.value)
    assert "OSError: No space left on device; key [hidden]. Mend" in str(raised.value)


@pytest.mark.usefixtures("calls")
def test_libraries_are_asked_to_report_nothing_of_their_own(
    recorded: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    monkeypatch.delenv("WANDB_ERROR_REPORTING", raising=False)
    send(recorded, "wandb", tracker("wandb"), tmp_path / "files")
    assert os.environ["WANDB_ERROR_REPORTING"] == "false"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "false"


def test_unknown_trackers_and_missing_libraries_are_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"Unknown tracker 'tensorbord'\. Did you mean"):
        chosen(["tensorbord"])
    # wandb writes into ./wandb: a folder of that name is no library.
    (tmp_path / "wandb").mkdir()
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    monkeypatch.setattr("sys.path_importer_cache", {})
    monkeypatch.delitem(sys.modules, "wandb", raising=False)  # another test may have imported it
    assert not installed("wandb")
    with pytest.raises(UsageError, match=r"python -m pip install 'cl-bench\[wandb\]'"):
        chosen("wandb")


@pytest.mark.usefixtures("calls")
def test_names_are_taken_once() -> None:
    assert chosen(["mlflow", "wandb", "mlflow"]) == ("mlflow", "wandb")
    assert set(TRACKERS) == {"tensorboard", "wandb", "trackio", "mlflow"}
