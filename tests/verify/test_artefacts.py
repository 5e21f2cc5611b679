"""What is found below a folder, calibration, and the results of this repository."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cl_bench.claims.calibration import TRIALS, verify_calibration
from cl_bench.cli.app import app
from cl_bench.contract.errors import RunDirectoryError
from cl_bench.contract.registry import DOMAINS
from cl_bench.store.packs.packed import PackedRun
from cl_bench.store.run_directory import RunDirectory
from cl_bench.verify.run import verify, verify_run

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


@needs_results
def test_problems_of_an_earlier_version_are_made_again_as_that_version_made_them() -> None:
    pack = min((ROOT / "results" / "claims" / "runs").glob("facts-fst-*.zip"))
    (stage,) = PackedRun.open(pack).manifest["stream"]["stages"]
    assert stage["domain_version"] == "1" != DOMAINS.load("facts").version
    report = verify_run(pack)
    assert report.findings == []
    assert not any("not made again" in note for note in report.notes)


@needs_results
@pytest.mark.slow
def test_the_committed_results_are_fine() -> None:
    results = ROOT / "results"
    reports = list(verify([results], {TRIALS.name: verify_calibration}))
    assert {"packed run", "trials of calibration"} == {report.kind for report in reports}
    assert [report.text() for report in reports if report.findings] == []
