"""What is found below a folder, calibration, and the results of this repository."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cl_bench.cli.app import app
from cl_bench.contract.errors import RunDirectoryError
from cl_bench.store.packs.packed import PackedRun
from cl_bench.store.run_directory import RunDirectory
from cl_bench.store.schema import TABLES
from cl_bench.verify.artefacts import verify
from cl_bench.verify.calibration import verify_calibration
from cl_bench.verify.run import verify_run
from cl_bench.verify.submission.packing import pack
from tests.store.older_runs import older_run

ROOT = Path(__file__).parents[2]
needs_results = pytest.mark.skipif(
    not (ROOT / "results" / "calibration").exists(), reason="only in a checkout"
)


def test_every_artefact_is_found_once_and_broken_ones_stop_nobody(
    packed_run: Path, unpacked: Callable[..., Path], tmp_path: Path
) -> None:
    home = unpacked(packed_run, "a/run")
    (home / "inner.zip").write_bytes(b"not looked at")
    (tmp_path / "b.zip").write_bytes(b"broken")
    (tmp_path / "c.txt").write_text("no result")
    (tmp_path / "d.zip").write_bytes(packed_run.read_bytes())
    (tmp_path / "loop").symlink_to(tmp_path)
    RunDirectory.open(unpacked(packed_run, "e")).update_manifest(status="running")
    reports = list(verify([tmp_path, tmp_path / "d.zip"]))
    told = [(report.path.name, report.kind, len(report.findings)) for report in reports]
    assert told == [
        ("run", "run directory", 0),
        ("b.zip", "packed run", 1),
        ("d.zip", "packed run", 0),
        ("e", "run directory", 0),
    ]
    assert reports[-1].notes == ["not finished, so not checked"]
    assert [report.unchecked for report in reports] == [False, False, False, True]


def test_a_run_that_was_not_checked_is_not_called_fine(
    packed_run: Path, unpacked: Callable[..., Path]
) -> None:
    home = unpacked(packed_run)
    RunDirectory.open(home).update_manifest(status="running")
    done = CliRunner().invoke(app, ["results", "verify", str(home)])
    first, last = done.stdout.splitlines()
    assert done.exit_code == 3
    assert first.startswith(f"unchecked   {home}  run directory, not finished")
    assert last == "0 verified, none with findings, 1 unchecked."
    done = CliRunner().invoke(app, ["results", "verify", str(home), "--json"])
    found = json.loads(done.stdout)
    assert (done.exit_code, found["fine"]) == (3, False)
    assert found["artefacts"][0]["unchecked"] is True


def test_a_folder_without_results_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="nothing to verify at or below"):
        verify([tmp_path])
    done = CliRunner().invoke(app, ["results", "verify", str(tmp_path / "nowhere")])
    assert done.exit_code == 2
    assert "nothing to verify" in " ".join(done.stderr.split())


def test_hostile_names_and_reasons_are_printed_harmlessly(
    packed_run: Path, unpacked: Callable[..., Path], tmp_path: Path
) -> None:
    home = unpacked(packed_run)
    RunDirectory.open(home).update_manifest(learner="\x1b]0;owned\x07rl")
    home.rename(tmp_path / "\x1b[31mred")
    done = CliRunner().invoke(app, ["results", "verify", str(tmp_path)])
    assert done.exit_code == 1
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout
    assert "learner is" in done.stdout


@pytest.mark.parametrize("version", [1, 2, 3])
def test_runs_of_older_schema_versions_are_verified_and_packed(
    version: int, tmp_path: Path
) -> None:
    run = older_run(version, tmp_path)
    report = verify_run(run)
    assert report.findings == [], report.text()
    directory = RunDirectory.open(run)
    pack(directory).write(tmp_path / "a.zip")
    again = PackedRun.open(tmp_path / "a.zip")
    assert again.contents["schema_version"] == version
    for name in TABLES:
        assert again.table(name).equals(directory.table(name)), name
    assert verify_run(tmp_path / "a.zip").findings == []


@pytest.fixture
def calibration(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "results" / "calibration", tmp_path / "calibration"))


@needs_results
def test_the_committed_trials_are_fine(calibration: Path) -> None:
    report = verify_calibration(calibration)
    assert report.findings == []
    assert report.checked == {"trials": 32}


@needs_results
@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("0.872559", "0.972559", "score is 0.972559, but the mean of its runs is 0.872559"),
        ("0.765625", "1.765625", "math-to-facts, seed 1000 is no score from 0 to 1"),
        ("0.0006,8", "0.0007,8", "its trials of rl are not those that calibration makes"),
        ("rl,3,", "lr,3,", "which is not calibrated"),
    ],
)
def test_forged_trials_are_found_out(calibration: Path, old: str, new: str, words: str) -> None:
    file = calibration / "trials.csv"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    report = verify_calibration(calibration)
    assert any(words in found.text() for found in report.findings), report.text()
    assert report.findings[0].file == "trials.csv"


@needs_results
def test_settings_that_the_trials_do_not_choose_are_found_out(calibration: Path) -> None:
    file = calibration / "settings.json"
    settings = json.loads(file.read_text())
    settings["rl"]["learning_rate"] = 0.5
    file.write_text(json.dumps(settings))
    (found,) = verify_calibration(calibration).findings
    assert found.text() == "settings.json: the settings are not those that the trials choose"


@needs_results
@pytest.mark.slow
def test_the_committed_results_are_fine() -> None:
    results = ROOT / "results"
    packs = sorted((results / "runs").glob("*/*.zip"))
    reports = list(verify([results / "calibration", results / "claims", *packs]))
    assert {"archive of claims", "trials of calibration"} <= {report.kind for report in reports}
    assert [report.text() for report in reports if report.findings] == []
