"""The state of a sweep's runs: what is recorded, what can never be, what comes before what."""

from __future__ import annotations

from pathlib import Path

import pytest

from cl_bench.store.files import write_json_atomically
from cl_bench.sweep.cell import Cell
from cl_bench.sweep.grid import grid
from cl_bench.sweep.state import Freshness, status, with_starts
from tests.sweep.manifests import manifest_of

FIRST = Cell("math", "rl", 1, 1)
SECOND = Cell("code", "rl", 1, 1, start=FIRST)
THIRD = Cell("facts", "rl", 1, 1, start=SECOND)


def record(cell: Cell, folder: Path, state: str) -> None:
    (folder / cell.name).mkdir(exist_ok=True)
    write_json_atomically(folder / cell.name / "manifest.json", {"status": state})


def test_cells_follow_those_they_start_from() -> None:
    assert with_starts([THIRD, FIRST, SECOND]) == [FIRST, SECOND, THIRD]


def test_a_run_without_a_readable_manifest_is_missing(tmp_path: Path) -> None:
    assert status(FIRST, tmp_path) == "missing"
    for content in ("{", "[]", "{}"):
        (tmp_path / FIRST.name).mkdir(exist_ok=True)
        (tmp_path / FIRST.name / "manifest.json").write_text(content)
        assert status(FIRST, tmp_path) == "missing"


@pytest.mark.parametrize("before", ["missing", "running", "failed"])
def test_only_what_starts_from_a_diverged_run_has_no_start(tmp_path: Path, before: str) -> None:
    if before != "missing":
        record(SECOND, tmp_path, before)
    for state in ("done", "running", "failed"):
        record(FIRST, tmp_path, state)
        assert status(SECOND, tmp_path) == before
    record(FIRST, tmp_path, "diverged")
    assert status(SECOND, tmp_path) == status(THIRD, tmp_path) == "no start"


def test_a_finished_run_stays_finished_whatever_became_of_its_start(tmp_path: Path) -> None:
    record(FIRST, tmp_path, "diverged")
    record(SECOND, tmp_path, "done")
    assert status(SECOND, tmp_path) == "done"


@pytest.mark.parametrize(
    ("part", "name"), [("evaluation", "validation_items"), ("learning", "loss_average")]
)
def test_a_finished_run_from_before_a_setting_is_kept(tmp_path: Path, part: str, name: str) -> None:
    (cell,) = grid(["math-to-code"], ["rl"], [0], steps=2)
    manifest = manifest_of(cell, tmp_path, "done")
    (tmp_path / cell.name).mkdir()
    del manifest["config"][part][name]
    write_json_atomically(tmp_path / cell.name / "manifest.json", manifest)
    assert Freshness(tmp_path).changed(cell) == ""
    manifest["config"][part]["removed_since"] = 1
    write_json_atomically(tmp_path / cell.name / "manifest.json", manifest)
    assert Freshness(tmp_path).changed(cell) == "its config"


def test_runs_that_are_kept_elsewhere_count_first(tmp_path: Path) -> None:
    known = {FIRST.name: "diverged"}
    assert status(FIRST, tmp_path, known) == "diverged"
    assert status(THIRD, tmp_path, known) == "no start"
    assert status(THIRD, tmp_path) == "missing"
