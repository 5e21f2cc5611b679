"""`cl-bench track` and `run --track`: what is sent, errors in one line, nothing heavy imported."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cl_bench.cli.app import app
from cl_bench.store.run_directory import RunDirectory

Calls = Callable[[], list[dict[str, Any]]]


def call(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stdout, " ".join(result.stderr.split())


def test_runs_below_a_folder_are_sent_each_to_every_tracker(
    recorded: RunDirectory, calls: Calls, tmp_path: Path
) -> None:
    before = sorted(path for path in recorded.path.rglob("*"))
    code, out, err = call("track", str(tmp_path), "--to", "wandb", "--to", "mlflow")
    assert code == 0, err
    assert out.splitlines() == [
        f"{recorded.path} → wandb: offline in /wandb/offline-run",
        f"{recorded.path} → mlflow: run run-1 at http://tracking.example",
    ]
    begun = {call["call"]: call for call in calls()}
    assert begun["init"]["name"] == begun["create_run"]["run_name"] == "recorded"
    assert sorted(path for path in recorded.path.rglob("*")) == before


@pytest.mark.usefixtures("calls", "recorded")
def test_an_unreadable_run_is_named_and_the_others_are_sent(tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text("{")
    code, out, err = call("track", str(tmp_path), "--to", "trackio")
    assert code == 0
    assert "left out:" in err
    assert "recorded" in out


@pytest.mark.usefixtures("calls")
@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["track", "nowhere", "--to", "wandb"], "There is no file or folder nowhere"),
        (["track", "nowhere", "--to", "wanbd"], "Did you mean 'wandb'"),
        (["track", "nowhere"], "Missing option '--to'"),
        (["run", "--track", "wanbd"], "Did you mean 'wandb'"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], hint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert hint in err
    assert [path.name for path in tmp_path.iterdir()] == []


def test_tensorboard_s_folders_are_not_mixed(
    recorded: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cl_bench.trackers.installed", lambda _: True)
    (tmp_path / "out" / "recorded").mkdir(parents=True)
    path = str(recorded.path)
    code, _, err = call("track", path, "--to", "tensorboard", "--out", str(tmp_path / "out"))
    assert code == 2
    assert "already. Give another --out" in err
    twin = tmp_path / "other" / "recorded"
    RunDirectory.create(twin, recorded.manifest)
    code, _, err = call(
        "track", path, str(twin), "--to", "tensorboard", "--out", str(tmp_path / "new")
    )
    assert code == 2
    assert "Several of the runs are called 'recorded'" in err


@pytest.mark.usefixtures("calls")
def test_a_resume_takes_track_and_a_tracker_that_fails_is_exit_code_2(
    recorded: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = call("run", "--resume", str(recorded.path), "--track", "wanbd")
    assert code == 2
    assert "Did you mean 'wandb'" in err
    monkeypatch.setenv("TRACKER_FAULT", "init:raise")
    code, _, err = call("track", str(recorded.path), "--to", "wandb")
    assert code == 2
    assert "wandb did not take the run" in err


@pytest.mark.usefixtures("calls")
def test_nothing_heavy_is_imported(recorded: RunDirectory) -> None:
    """No torch to send tables, and no tracker's library to ask for help."""
    fakes = str(Path(__file__).parent / "fakes")
    script = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from typer.testing import CliRunner; from cl_bench.cli.app import app\n"
        "for words in (['track', '--help'], ['export', '--help']):\n"
        "    assert CliRunner().invoke(app, words).exit_code == 0\n"
        "heavy = ('torch', 'transformers', 'pandas', 'wandb', 'huggingface_hub')\n"
        "print([m for m in heavy if m in sys.modules])\n"
        "done = CliRunner().invoke(app, ['track', sys.argv[1], '--to', 'wandb'])\n"
        "assert done.exit_code == 0, done.output\n"
        "print([m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(recorded.path), fakes],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split("\n")[:2] == ["[]", "[]"]
