"""Recording a reference, and refusing one that was tampered with."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cl_bench.analysis.run_values import run_metrics
from cl_bench.contract.errors import ClBenchError, RunDirectoryError, UsageError
from cl_bench.gate import reference
from cl_bench.gate.policy import default_policy, load_policy
from cl_bench.gate.reference import open_reference, record, require_verified
from cl_bench.gate.regression import check
from cl_bench.store.run_tables import open_run
from tests.verify.tampering import INSIDE, Forgery

from .gate_runs import noisy_run, noisy_runs

STRICT = "version = 1\n[metrics.average_accuracy]\ntolerance = 0.01\n"


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A reference of two seeds."""
    record([noisy_runs(tmp_path / "runs", 2)], tmp_path / "reference")
    return tmp_path / "reference"


def test_a_reference_is_packed_runs_a_policy_and_an_index(recorded: Path) -> None:
    files = {
        file.relative_to(recorded).as_posix() for file in recorded.rglob("*") if file.is_file()
    }
    packs = {f"runs/math-to-code/fst-{seed}.zip" for seed in (0, 1)}
    assert files == {"reference.json", "policy.toml", *packs}
    index = json.loads((recorded / "reference.json").read_text())
    assert index["made_with"]["git_commit"] == "c" * 40
    assert {run["file"] for run in index["runs"]} == packs
    assert load_policy(recorded / "policy.toml") == default_policy()


def test_the_runs_of_a_reference_are_those_that_were_recorded(
    recorded: Path, tmp_path: Path
) -> None:
    for seed, run in enumerate(open_reference(recorded).runs):
        assert run_metrics(run) == run_metrics(open_run(tmp_path / "runs" / str(seed)))
    report = check([tmp_path / "runs"], recorded)
    assert (report.verdict, report.coverage[0].identical) == ("pass", True)


def test_recording_twice_gives_the_same_bytes(recorded: Path, tmp_path: Path) -> None:
    record([tmp_path / "runs"], tmp_path / "again")
    for file in recorded.rglob("*"):
        if file.is_file():
            assert (tmp_path / "again" / file.relative_to(recorded)).read_bytes() == (
                file.read_bytes()
            )


def test_the_policy_comes_from_the_command_the_reference_or_the_default(
    recorded: Path, tmp_path: Path
) -> None:
    (tmp_path / "strict.toml").write_text(STRICT)
    record([tmp_path / "runs"], recorded, policy=tmp_path / "strict.toml", replace=True)
    assert open_reference(recorded).policy.sha256 == load_policy(tmp_path / "strict.toml").sha256
    record([tmp_path / "runs"], recorded, replace=True)  # the policy stays
    runs = [tmp_path / "runs"]
    strict = ["finished", "average_accuracy"]
    assert [each.name for each in check(runs, recorded).checks] == strict
    assert len(check(runs, recorded, default_policy()).checks) > 2
    assert len(check(runs, tmp_path / "runs").checks) > 2  # a bare folder of runs


def test_nothing_is_replaced_unless_it_is_a_reference_and_one_says_so(
    recorded: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="--replace"):
        record([tmp_path / "runs"], recorded)
    (recorded / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="other files than a reference"):
        record([tmp_path / "runs"], recorded, replace=True)
    assert (recorded / "notes.txt").read_text() == "mine"


def _manifest(**changes: Any) -> dict[str, Any]:
    return {"provenance": changes}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (_manifest(git_dirty=True), "has changes that no commit has"),
        (_manifest(git_commit=None, git_dirty=None), "is not known.*--installed"),
        ({"status": "diverged", "last": 10}, "is diverged"),
        ({"status": "running", "last": 10}, "is running"),
    ],
)
def test_only_finished_runs_of_a_clean_tree_are_recorded(
    fields: dict[str, Any], said: str, tmp_path: Path
) -> None:
    noisy_run(tmp_path / "runs" / "bad", **fields)
    with pytest.raises(UsageError, match=said):
        record([tmp_path / "runs"], tmp_path / "reference")
    assert not (tmp_path / "reference").exists()


def test_an_installed_cl_bench_is_accepted_when_asked_for(tmp_path: Path) -> None:
    unknown = {"git_commit": None, "git_dirty": None}
    run = noisy_run(tmp_path / "run", provenance=unknown)
    assert len(record([run], tmp_path / "reference", installed=True).runs) == 1
    dirty = noisy_run(tmp_path / "dirty", provenance={"git_dirty": True})
    with pytest.raises(UsageError, match="has changes"):
        record([dirty], tmp_path / "other", installed=True)


def test_runs_of_two_commits_and_two_runs_of_one_seed_are_refused(tmp_path: Path) -> None:
    first = noisy_run(tmp_path / "first")
    other = noisy_run(tmp_path / "other", seed=1, provenance={"git_commit": "d" * 40})
    with pytest.raises(UsageError, match=r"commit c+ and .* by commit d+"):
        record([first, other], tmp_path / "reference")
    twin = noisy_run(tmp_path / "twin", noise=1)
    with pytest.raises(UsageError, match="one learner, stream and seed"):
        record([first, twin], tmp_path / "reference")


def _edit_policy(path: Path) -> None:
    with (path / "policy.toml").open("a") as file:
        file.write("\n# looser\n")


def _swap_runs(path: Path) -> None:
    first, second = sorted((path / "runs").rglob("*.zip"))
    shutil.copy(first, second)


def _lose_a_run(path: Path) -> None:
    next((path / "runs").rglob("*.zip")).unlink()


def _add_a_run(path: Path) -> None:
    found = next((path / "runs").rglob("*.zip"))
    shutil.copy(found, found.with_name("more.zip"))


def _rename_the_version(path: Path) -> None:
    file = path / "reference.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"reference_version": 2}))


def _lose_the_index(path: Path) -> None:
    (path / "reference.json").unlink()


def _empty_the_index(path: Path) -> None:
    (path / "reference.json").write_text("[]")


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (_edit_policy, r"policy\.toml was edited"),
        (_swap_runs, r"fst-1\.zip was edited"),
        (_lose_a_run, r"fst-\d\.zip is missing"),
        (_add_a_run, r"more\.zip is not part of it"),
        (_rename_the_version, "of version 2, not 1"),
        (_empty_the_index, "cannot be used"),
        (_lose_the_index, r"reference\.json is missing"),
    ],
)
def test_a_reference_that_was_tampered_with_is_refused(
    tamper: Callable[[Path], None], said: str, recorded: Path
) -> None:
    tamper(recorded)
    with pytest.raises(RunDirectoryError, match=said):
        open_reference(recorded)


def test_what_cannot_be_read_is_never_left_out(tmp_path: Path) -> None:
    runs = noisy_runs(tmp_path / "runs", 2)
    (runs / "1" / "manifest.json").write_text("{")
    for call in (
        lambda: check([runs], noisy_runs(tmp_path / "whole", 1)),
        lambda: check([tmp_path / "whole"], runs),
        lambda: record([runs], tmp_path / "reference"),
    ):
        with pytest.raises(ClBenchError, match=r"1.manifest\.json"):
            call()


@pytest.fixture
def verifying(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is outside of these tests (conftest.py)."""
    monkeypatch.setattr(reference, "require_verified", require_verified)


@pytest.mark.usefixtures("verifying")
def test_runs_with_findings_are_not_recorded(packed_run: Path, tmp_path: Path) -> None:
    forged = Forgery(packed_run)
    forged.edit("evaluations", "accuracy", 1.0, **INSIDE)
    path = forged.write(tmp_path / "forged.zip")
    with pytest.raises(RunDirectoryError, match=r"forged\.zip is not what it says of itself: .*1"):
        record([path], tmp_path / "reference", installed=True)
    assert not (tmp_path / "reference").exists()
    assert check([path], path).verdict == "pass"
    for candidate, against in ((path, packed_run), (packed_run, path)):
        with pytest.raises(RunDirectoryError, match="the mean score of its items"):
            check([candidate], against, verify=True)


@pytest.mark.usefixtures("verifying")
def test_packed_runs_are_recorded_as_they_are(packed_run: Path, tmp_path: Path) -> None:
    made = record([packed_run], tmp_path / "reference", installed=True)
    (run,) = made.runs
    assert run.path.read_bytes() == packed_run.read_bytes()
    assert check([packed_run], tmp_path / "reference", verify=True).verdict == "pass"


def test_a_reference_without_runs_says_how_one_is_made(tmp_path: Path) -> None:
    candidate = noisy_run(tmp_path / "run")
    with pytest.raises(RunDirectoryError, match=r"`cl-bench reference record RUN --out .*nope`"):
        check([candidate], tmp_path / "nope")
