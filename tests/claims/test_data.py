"""The tables of runs: which rows are found, and why there are none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cl_bench.claims.archive import Archive, write_archive
from cl_bench.claims.data import Data, in_directories
from cl_bench.claims.plan import Plan
from cl_bench.claims.subject import EMBEDDED
from cl_bench.contract.errors import RunDirectoryError, UsageError
from cl_bench.metrics.undefined import Undefined
from cl_bench.store.run_directory import RunDirectory
from cl_bench.sweep.cell import Cell

MakeRun = Callable[..., Path]
CELL = Cell("facts-to-code", "fst", 100, 4, {"eval_every": 2})
PLAN = Plan(EMBEDDED.budgets["small"], (100,), {})
OTHER = Cell("facts-to-code", "rl", 100, 4, {"eval_every": 2})


def archived(folder: Path) -> Data:
    return Data([Archive.read(folder).runs])


def rising(step: int, domain: str, prompt: str) -> float:
    """Accuracy that tells step, domain and prompt."""
    return step / 10 + (0.01 if domain == "code" else 0.0) + (0.001 if prompt == "seed" else 0.0)


@pytest.fixture(params=["directories", "archive"])
def data(request: pytest.FixtureRequest, make_run: MakeRun, tmp_path: Path) -> Data:
    """One finished run and one that is missing, from its directory or from an archive."""
    folder = make_run(CELL, rising)
    if request.param == "directories":
        return Data.of_runs([CELL, OTHER], folder)
    write_archive([CELL, OTHER], folder, tmp_path / "archive", PLAN)
    return archived(tmp_path / "archive")


def test_a_curve_is_the_trained_policy_on_one_domain_under_one_prompt_by_step(data: Data) -> None:
    curve = data.curve(CELL, "code")
    assert not isinstance(curve, Undefined)
    assert curve["step"].tolist() == [0, 2, 4, 6, 8]
    assert curve["accuracy"].tolist() == pytest.approx([0.01, 0.21, 0.41, 0.61, 0.81])
    seed = data.curve(CELL, "facts", prompt="seed")
    assert not isinstance(seed, Undefined)
    assert seed["accuracy"].tolist() == pytest.approx([0.001, 0.201, 0.401, 0.601, 0.801])


def test_peaks_are_taken_from_validation_problems_where_a_run_was_asked_any(
    make_run: MakeRun,
) -> None:
    folder = make_run(CELL, rising)
    run = RunDirectory.open(folder / CELL.name)
    rows = run.table("evaluations").query("weights == 'trained'")
    asked = rows.assign(test_set="validation", accuracy=rows["accuracy"] / 2)
    before = Data.of_runs([CELL], folder).curve(CELL, "code", peaks=True)
    run.commit(1, {"evaluations": asked.to_dict("records")})
    data = Data.of_runs([CELL], folder)
    for found, accuracy in (
        (before, [0.01, 0.21, 0.41, 0.61, 0.81]),
        (data.curve(CELL, "code"), [0.01, 0.21, 0.41, 0.61, 0.81]),
        (data.curve(CELL, "code", peaks=True), [0.005, 0.105, 0.205, 0.305, 0.405]),
    ):
        assert not isinstance(found, Undefined)
        assert found["accuracy"].tolist() == pytest.approx(accuracy)


def test_one_accuracy_is_found_at_the_start_the_end_or_a_stage(data: Data) -> None:
    assert data.cell_accuracy(CELL, "code") == pytest.approx(0.81)
    assert data.cell_accuracy(CELL, "code", at="start") == pytest.approx(0.01)
    assert data.cell_accuracy(CELL, "code", at=1, prompt="seed") == pytest.approx(0.411)
    assert data.cell_accuracy(CELL, "code", weights="base") == pytest.approx(0.405)


def test_what_was_not_evaluated_is_undefined_and_says_what(data: Data) -> None:
    for found in (
        data.curve(CELL, "math"),
        data.cell_accuracy(CELL, "facts", test_set="harder"),
        data.cell_accuracy(CELL, "facts", at=3),
    ):
        assert isinstance(found, Undefined)
        assert CELL.name in found.reason
    assert data.curve(CELL, "math") == Undefined(
        f"run {CELL.name} was not evaluated on math (stream, learner prompt, trained weights)"
    )


def test_a_missing_run_is_undefined_by_its_name(data: Data) -> None:
    assert data.table("steps", OTHER) == Undefined(f"run {OTHER.name} is missing")


def test_who_changes_a_table_changes_a_copy(data: Data) -> None:
    first = data.table("evaluations", CELL)
    assert not isinstance(first, Undefined)
    first["accuracy"] = 0.0
    assert data.cell_accuracy(CELL, "code") == pytest.approx(0.81)


def test_an_unknown_table_names_the_known_ones(data: Data) -> None:
    with pytest.raises(UsageError, match="evaluations"):
        data.table("evaluation", CELL)


@pytest.mark.parametrize(
    ("status", "reason", "said"),
    [
        ("diverged", "Step 12 diverged: its loss is nan.", "diverged at step 12"),
        ("diverged", "the policy's weights are not finite", "diverged"),
        ("failed", "OSError: disk", "failed: OSError: disk"),
        ("running", None, "is unfinished"),
    ],
)
def test_only_a_run_that_is_done_has_values(
    make_run: MakeRun, status: str, reason: str | None, said: str
) -> None:
    folder = make_run(CELL, rising, status=status, reason=reason)
    data = Data.of_runs([CELL], folder)
    expected = Undefined(f"run {CELL.name} {said}")
    assert data.table("evaluations", CELL) == expected
    assert data.curve(CELL, "code") == expected
    assert data.cell_accuracy(CELL, "code") == expected


def test_the_runs_have_a_row_for_every_cell_and_say_what_made_them(make_run: MakeRun) -> None:
    after = Cell("facts", "rl", 100, 4, {"eval_every": 2}, start=CELL)
    folder = make_run(CELL, rising)
    runs = Data.of_runs([CELL, after], folder).runs([CELL, after])
    assert runs["cell"].tolist() == [CELL.name, after.name]
    assert runs["status"].tolist() == ["done", "missing"]
    first = runs.iloc[0]
    assert first["learner"] == "fst"
    assert (first["git_commit"], first["torch"], first["trl"]) == ("c" * 40, "2.9", "1.17")
    assert first["seconds"] == 7.0
    assert runs.iloc[1]["start"] == CELL.name


def test_a_run_of_another_schema_version_is_one_error(make_run: MakeRun) -> None:
    folder = make_run(CELL, rising)
    manifest = folder / CELL.name / "manifest.json"
    content = json.loads(manifest.read_text()) | {"schema_version": 99}
    manifest.write_text(json.dumps(content))
    with pytest.raises(RunDirectoryError, match="schema version 99"):
        Data.of_runs([CELL], folder)


def test_of_two_sources_the_finished_run_counts(make_run: MakeRun, tmp_path: Path) -> None:
    folder = make_run(CELL, rising)
    write_archive([CELL], folder, tmp_path / "archive", PLAN)
    failed = make_run(CELL, status="failed", reason="no", folder=tmp_path / "again")
    both = Data([in_directories([CELL, OTHER], failed), Archive.read(tmp_path / "archive").runs])
    assert both.cell_accuracy(CELL, "code") == pytest.approx(0.81)
    assert both.runs([OTHER, CELL])["status"].tolist() == ["missing", "done"]
    alone = Data.of_runs([CELL], failed)
    assert alone.table("steps", CELL) == Undefined(f"run {CELL.name} failed: no")


def test_a_cell_that_could_not_be_made_has_its_reason(make_run: MakeRun) -> None:
    folder = make_run(CELL, rising)
    failures = dict.fromkeys((CELL.name, OTHER.name), "ModelError: gone")
    data = Data.of_runs([CELL, OTHER], folder, failures)
    assert data.runs([CELL, OTHER])["status"].tolist() == ["done", "failed"]
    expected = Undefined(f"run {OTHER.name} failed: ModelError: gone")
    assert data.cell_accuracy(OTHER, "code") == expected


def test_what_starts_from_a_diverged_run_says_so_from_runs_and_archive(
    make_run: MakeRun, tmp_path: Path
) -> None:
    after = Cell("facts", "rl", 100, 4, {"eval_every": 2}, start=CELL)
    folder = make_run(CELL, status="diverged", reason="Step 3 diverged: nan.")
    failures = {after.name: "no model"}
    write_archive([CELL, after], folder, tmp_path / "archive", PLAN, failures=failures)
    why = f"it starts from {CELL.name}, which diverged"
    for data in (Data.of_runs([CELL, after], folder), archived(tmp_path / "archive")):
        assert data.runs([after])[["status", "reason"]].values.tolist() == [["no start", why]]
        assert data.table("steps", after) == Undefined(f"run {after.name} has no start: {why}")
