"""The modules that measuring and reporting load: nothing heavy that they do not need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.report.synthetic_runs import write_run

HEAVY = ("torch", "transformers", "matplotlib")


def imported(code: str, *unwanted: str) -> str:
    """Those of the unwanted modules that a fresh interpreter holds after the code."""
    script = f"import sys\n{code}\nprint([m for m in {unwanted!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("modules", "unwanted"),
    [
        ("cl_bench.report.leaderboard, cl_bench.report.summary", HEAVY),
        ("cl_bench.report.figures, cl_bench.report.page.build", HEAVY),
        ("cl_bench.gate.regression, cl_bench.gate.write_data", HEAVY),
    ],
)
def test_modules_import_nothing_heavy(modules: str, unwanted: tuple[str, ...]) -> None:
    assert imported(f"import {modules}", *unwanted) == "[]"


@pytest.mark.parametrize(
    ("command", "unwanted"),
    [
        ("['metrics', 'm.csv']", (*HEAVY, "pandas", "scipy")),
        ("['show', 'run']", HEAVY),
        ("['check', 'run', '--against', 'run', '--json']", HEAVY),
    ],
)
def test_commands_import_nothing_heavy(
    command: str, unwanted: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.csv").write_text("0.1,0.2\n0.9,0.3\n0.4,0.8\n")
    write_run(tmp_path / "run")
    code = (
        "from typer.testing import CliRunner; from cl_bench.cli.app import app\n"
        f"assert CliRunner().invoke(app, {command}).exit_code == 0"
    )
    assert imported(code, *unwanted) == "[]"
