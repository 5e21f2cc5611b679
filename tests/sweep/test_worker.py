"""A worker: what it says of a run, what it waits for, what it sets aside, and when it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cl_bench.api import Run
from cl_bench.contract.errors import (
    DivergedError,
    LockedError,
    OtherSoftwareError,
    RunDirectoryError,
)
from cl_bench.store.run_directory import RunDirectory
from cl_bench.sweep import worker
from cl_bench.sweep.backends import process
from cl_bench.sweep.cell import Cell
from tests.sweep.manifests import manifest_of

CELL = Cell("math", "rl", 1, 1)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (DivergedError("Step 2 diverged"), {"status": "diverged", "reason": "Step 2 diverged"}),
        (
            RunDirectoryError("is damaged"),
            {"status": "failed", "reason": "RunDirectoryError: is damaged"},
        ),
        (ZeroDivisionError("by"), {"status": "failed", "reason": "ZeroDivisionError: by"}),
    ],
)
def test_a_worker_says_what_came_of_a_run(
    error: Exception, expected: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(**_: object) -> Run:
        raise error

    monkeypatch.setattr("cl_bench.api.run", failing)
    assert worker.make(CELL, tmp_path) == expected


def begun(folder: Path, state: str) -> RunDirectory:
    return RunDirectory.create(folder / CELL.name, manifest_of(CELL, folder, state))


def test_an_unfinished_run_of_other_software_is_set_aside_and_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resume(_: Path, **__: Any) -> Run:
        raise OtherSoftwareError("began with other versions")

    def run(**given: Any) -> Run:
        assert given["out"] == tmp_path / CELL.name
        return Run(begun(tmp_path, "done").path)

    monkeypatch.setattr("cl_bench.api.resume", resume)
    monkeypatch.setattr("cl_bench.api.run", run)
    begun(tmp_path, "failed")
    (tmp_path / f"{CELL.name}.stale-1").mkdir()
    assert worker.make(CELL, tmp_path) == {
        "status": "done",
        "reason": "",
        "note": "the unfinished run that was there began with other software: "
        f"it is now {CELL.name}.stale-2",
    }
    aside = tmp_path / f"{CELL.name}.stale-2"
    assert RunDirectory.open(aside).manifest["status"] == "failed"
    with RunDirectory(aside).locked():
        pass


def test_a_resume_that_refuses_tables_of_another_version_sets_the_run_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cl_bench.api.run", lambda **_: Run(begun(tmp_path, "done").path))
    begun(tmp_path, "running").update_manifest(schema_version=0)
    found = worker.make(CELL, tmp_path)
    assert found["status"] == "done"
    assert found["note"].endswith(f"{CELL.name}.stale-1")


def test_a_locked_run_is_waited_for_and_taken_as_the_other_process_left_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = begun(tmp_path, "running")
    tries = []

    def resume(path: Path, **_: Any) -> Run:
        tries.append(path)
        if len(tries) == 2:
            directory.update_manifest(status="done")
        raise LockedError("is being written by another process")

    monkeypatch.setattr("cl_bench.api.resume", resume)
    monkeypatch.setattr(worker, "_POLL", 0.0)
    assert worker.make(CELL, tmp_path) == {"status": "done", "reason": ""}
    assert len(tries) == 2


def test_a_run_that_stays_locked_fails_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LOCK_WAIT", 0.05)
    monkeypatch.setattr(worker, "_POLL", 0.01)
    directory = begun(tmp_path, "running")

    def resume(path: Path, **_: Any) -> Run:
        with RunDirectory.open(path).locked():
            raise AssertionError

    monkeypatch.setattr("cl_bench.api.resume", resume)
    with directory.locked():
        found = worker.make(CELL, tmp_path)
    assert found["status"] == "failed"
    assert found["reason"].startswith("LockedError: ")
    assert f"is being written by another process (pid {os.getpid()})" in found["reason"]


BUSY = """
import os, sys, tempfile, time
from pathlib import Path
from cl_bench.sweep import worker
from cl_bench.sweep.backends import process
from cl_bench.sweep.cell import Cell, as_json

shown = os.dup(1)

def make(cell, folder, ranks):
    os.write(shown, b"busy")
    time.sleep(20)
    os.write(shown, b"late")

worker.make = make
sys.stdin = [as_json(Cell("math", "rl", 1, 1))]
worker.main(Path(tempfile.mkdtemp()), os.getppid())
"""
PARENT = """
import subprocess, sys
subprocess.run([sys.executable, "-c", sys.argv[1]])
"""


def test_a_worker_ends_in_the_middle_of_a_run_when_its_parent_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, BUSY], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert os.read(parent.stdout.fileno(), 4) == b"busy"
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    assert parent.stdout.read() == b""  # the end of the pipe: the worker is gone, too
    parent.stdout.close()


def test_a_worker_that_does_not_heed_its_end_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_PATIENCE", 0.2)
    started = process.WorkerProcess(tmp_path, {})
    os.kill(started._process.pid, signal.SIGSTOP)
    started.terminate()
    started.close()
    assert not started.alive
