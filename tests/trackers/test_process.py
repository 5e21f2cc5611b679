"""A tracker's process: what is sent survives the end of the run's process, however that came."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cl_bench.store.run_directory import RunDirectory
from cl_bench.trackers import process
from cl_bench.trackers.process import TrackerProcess
from cl_bench.trackers.values import history, tracked_run
from tests.trackers.conftest import until

Calls = Callable[[], list[dict[str, Any]]]
KILLED = """
import os, signal, sys, time
from pathlib import Path
from cl_bench.store.run_directory import RunDirectory
from cl_bench.trackers.values import history, tracked_run
from cl_bench.trackers.process import TrackerProcess
sys.path.insert(0, sys.argv[2])
run = RunDirectory.open(Path(sys.argv[1]))
tracker = TrackerProcess("mlflow", tracked_run(run, run.path), run.path / "tracking")
for entry in history(run):
    tracker.send(entry)
while not tracker._queue.empty():
    time.sleep(0.01)
time.sleep(0.2)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_handed_over_is_sent_when_the_run_is_killed(
    recorded: RunDirectory, calls: Calls
) -> None:
    fakes = str(Path(__file__).parent / "fakes")
    command = [sys.executable, "-c", KILLED, str(recorded.path), fakes]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert until(lambda: any(call["call"] == "set_terminated" for call in calls()))
    assert [call["status"] for call in calls() if call["call"] == "set_terminated"] == ["KILLED"]
    note = recorded.path / "tracking" / "mlflow.json"
    assert until(lambda: json.loads(note.read_text())["sent"] == {"rows": 2, "steps": 2})


@pytest.mark.parametrize("fault", ["", "finish:hang"])
def test_nothing_is_sent_twice_after_its_own_process_is_killed(
    fault: str, recorded: RunDirectory, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a run, and while its library still uploads when the patience ends."""
    monkeypatch.setenv("TRACKER_FAULT", fault)
    folder, about = recorded.path / "tracking", tracked_run(recorded, recorded.path)
    first = TrackerProcess("trackio", about, folder)
    for entry in history(recorded):
        first.send(entry)
    if fault:
        first.end("interrupted")
        assert until(lambda: calls()[-1:] != [] and calls()[-1]["call"] == "finish")
    note = folder / "trackio.json"
    assert until(
        lambda: note.exists() and json.loads(note.read_text())["sent"] == {"rows": 2, "steps": 2}
    )
    first.wait(time.monotonic())
    assert first.failure
    logged = [call for call in calls() if call["call"] == "log"]
    monkeypatch.delenv("TRACKER_FAULT")
    again = TrackerProcess("trackio", about, folder)
    for entry in history(recorded):
        again.send(entry)
    again.end("done")
    again.wait(time.monotonic() + 30)
    assert again.failure == ""
    assert [call for call in calls() if call["call"] == "log"] == logged


def test_ctrl_c_of_the_terminal_does_not_reach_it(recorded: RunDirectory, calls: Calls) -> None:
    tracker = TrackerProcess("trackio", tracked_run(recorded, recorded.path), recorded.path / "t")
    assert until(lambda: bool(tracker.where))
    assert os.getsid(tracker._process.pid) != os.getsid(0)
    for entry in history(recorded):
        tracker.send(entry)
    tracker.end("done")
    tracker.wait(time.monotonic() + 30)
    assert tracker.failure == ""
    assert calls()[-1]["call"] == "finish"


@pytest.mark.usefixtures("calls")
def test_a_tracker_that_does_not_keep_up_is_given_up(
    recorded: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKER_FAULT", "init:hang")
    monkeypatch.setattr(process, "_WAITING", 5)
    tracker = TrackerProcess("trackio", tracked_run(recorded, recorded.path), recorded.path / "t")
    entry = next(iter(history(recorded)))
    for _ in range(2_000):  # more than the pipe and the queue hold
        tracker.send(entry)
    assert "it does not keep up" in tracker.failure
    tracker.end("done")
    tracker.wait(time.monotonic() + 30)
    assert "it does not keep up" in tracker.failure
