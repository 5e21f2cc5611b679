"""Systems that are not POSIX, such as Windows: they read runs, and say that they make none.

Their Python is imitated: it lacks modules, functions and signals, and flushes no folders.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cl_bench.execution.machine import peak_memory
from tests.report.synthetic_runs import write_run

IMITATED = """
import os, signal, sys
import filelock  # which would warn that it has no locks of Windows here
for name in ("fcntl", "resource"):
    sys.modules[name] = None
for place, names in {
    os: "fork forkpty killpg setsid getpgid sched_getaffinity getuid geteuid",
    signal: "SIGKILL SIGALRM SIGHUP SIGPROF alarm setitimer",
}.items():
    for name in names.split():
        delattr(place, name)

def refused(*_, **__):
    raise PermissionError(13, "Permission denied")

os.fsync = refused
from cl_bench.cli.app import app
for line in sys.stdin.read().splitlines():
    try:
        app(line.split("|"))
    except SystemExit as end:
        print(f"<{line.split('|')[0]}: {end.code}>", flush=True)
"""


def ended(*commands: list[str], cwd: Path) -> tuple[list[str], str]:
    """The commands with their exit codes, and what stood on standard error."""
    done = subprocess.run(
        [sys.executable, "-c", IMITATED],
        input="\n".join("|".join(command) for command in commands),
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
    )
    return [line for line in done.stdout.splitlines() if line.startswith("<")], done.stderr


def test_commands_that_read_work_everywhere(tmp_path: Path) -> None:
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", learner="rl")
    (tmp_path / "m.csv").write_text("0.1,0.2\n0.9,0.3\n0.4,0.8\n")
    codes, errors = ended(
        ["list"],
        ["metrics", "m.csv"],
        ["show", "a"],
        ["compare", "a", "b"],
        ["report", "a", "b", "--out", "page"],
        ["check", "a", "--against", "a"],
        ["results", "verify", "a"],
        cwd=tmp_path,
    )
    assert errors == ""
    names = ("list", "metrics", "show", "compare", "report", "check")
    # A run that was made up is found out.
    assert codes == [*(f"<{name}: 0>" for name in names), "<results: 1>"]
    assert (tmp_path / "page" / "leaderboard.html").stat().st_size > 10_000


def test_commands_that_make_runs_say_that_they_do_not_here(tmp_path: Path) -> None:
    codes, errors = ended(
        ["run", "--steps", "1"],
        ["run", "--resume", "nowhere"],
        ["sweep", "--seeds", "0"],
        ["doctor"],
        cwd=tmp_path,
    )
    assert codes == ["<run: 2>", "<run: 2>", "<sweep: 2>", "<doctor: 1>"]
    said = (
        "cl-bench: Runs are made on Linux and macOS; on Windows, in its Subsystem for Linux (WSL)"
    )
    assert [line.startswith(said) for line in errors.splitlines()].count(True) == 3, errors
    assert "Traceback" not in errors


def test_the_peak_of_memory_is_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    here = peak_memory()
    assert here is not None
    assert 10 * 2**20 < here < 64 * 2**30
    monkeypatch.setattr(sys, "platform", "darwin")  # where the system counts in bytes
    assert peak_memory() == pytest.approx(here / 1024, rel=0.2)
    monkeypatch.setitem(sys.modules, "resource", None)
    assert peak_memory() is None
