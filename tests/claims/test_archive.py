"""Archives of packed runs: the same bytes again, extensible, and refused when not whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cl_bench.claims.archive import INDEX, Archive, known_cells, write_archive
from cl_bench.claims.data import Data
from cl_bench.claims.plan import Plan
from cl_bench.claims.registered import registration
from cl_bench.claims.subject import EMBEDDED
from cl_bench.contract.errors import RunDirectoryError
from cl_bench.store.run_tables import open_run
from cl_bench.store.schema import TABLES
from cl_bench.sweep.cell import Cell

MakeRun = Callable[..., Path]
PLAN = Plan(EMBEDDED.budgets["small"], (100, 101), {"rl": {"learning_rate": 6e-4}})


def cell(seed: int, **more: Any) -> Cell:
    return Cell("facts", "rl", seed, 4, {"eval_every": 2}, **more)


def archived(folder: Path) -> Data:
    return Data([Archive.read(folder).runs])


def content(folder: Path) -> Mapping[Path, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder): file.read_bytes() for file in files}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def test_an_archive_holds_packed_runs_that_say_what_the_directories_say(
    make_run: MakeRun, archive: Path
) -> None:
    cells = [cell(100), cell(101)]
    for one in cells:
        folder = make_run(one)
    write_archive(cells, folder, archive, PLAN)
    packed, runs = archived(archive), Data.of_runs(cells, folder)
    for one in cells:
        run = open_run(archive / "runs" / f"{one.name}.zip")
        for name in TABLES:
            table = runs.table(name, one)
            pd.testing.assert_frame_equal(packed.table(name, one), table)
            pd.testing.assert_frame_equal(run.table(name), table)
    pd.testing.assert_frame_equal(packed.runs(cells), runs.runs(cells))
    assert Archive.read(archive).plan == PLAN


def test_the_same_runs_give_the_same_bytes_whatever_their_order(
    make_run: MakeRun, archive: Path, tmp_path: Path
) -> None:
    cells = [cell(100), cell(101)]
    for one in cells:
        folder = make_run(one)
    write_archive(cells, folder, archive, PLAN)
    first = content(archive)
    write_archive(cells, folder, archive, PLAN)
    assert content(archive) == first
    write_archive(cells[1:], folder, tmp_path / "parts", PLAN)
    write_archive(cells[:1], folder, tmp_path / "parts", PLAN)
    assert content(tmp_path / "parts") == first


def test_runs_of_another_machine_stay_and_those_of_this_one_replace(
    make_run: MakeRun, archive: Path, tmp_path: Path
) -> None:
    cells = [cell(100), cell(101), cell(102)]
    there = make_run(cells[0], folder=tmp_path / "there")
    make_run(cells[1], folder=there)
    write_archive(cells, there, archive, PLAN)
    here = make_run(cells[1], lambda *_: 0.75)
    make_run(cells[2])
    write_archive(cells, here, archive, PLAN)
    data = archived(archive)
    assert [data.cell_accuracy(one, "facts") for one in cells] == [0.04, 0.75, 0.04]


def test_an_unfinished_run_is_listed_but_never_replaces_a_finished_one(
    make_run: MakeRun, archive: Path, tmp_path: Path
) -> None:
    there = make_run(cell(100), folder=tmp_path / "there")
    write_archive([cell(100)], there, archive, PLAN)
    here = make_run(cell(100), status="failed", reason="no memory")
    make_run(cell(101), status="failed", reason="no memory")
    make_run(cell(102), status="diverged", reason="Step 3 diverged: nan.")
    write_archive([cell(100), cell(101), cell(102), cell(103)], here, archive, PLAN)
    found = {name: run.status for name, run in Archive.read(archive).runs.items()}
    assert found == {cell(100).name: "done", cell(101).name: "failed", cell(102).name: "diverged"}
    assert archived(archive).cell_accuracy(cell(100), "facts") == 0.04
    assert known_cells(archive) == {cell(100).name: "done", cell(102).name: "diverged"}


def test_a_cell_that_could_not_be_made_is_kept_with_its_reason(
    make_run: MakeRun, archive: Path
) -> None:
    folder = make_run(cell(100))
    make_run(cell(101), status="running")
    failures = dict.fromkeys((cell(n).name for n in (100, 101, 102)), "ModelError: gone")
    every = [cell(n) for n in (100, 101, 102, 103)]
    write_archive(every, folder, archive, PLAN, failures=failures)
    runs = archived(archive).runs(every)
    assert runs["status"].tolist() == ["done", "failed", "failed", "missing"]
    assert runs["reason"].tolist()[1:3] == ["ModelError: gone"] * 2
    make_run(cell(102))
    write_archive([cell(102)], folder, archive, PLAN)
    assert known_cells(archive) == {cell(100).name: "done", cell(102).name: "done"}


def test_no_archive_knows_no_cells(archive: Path) -> None:
    assert known_cells(archive) == {}
    with pytest.raises(RunDirectoryError, match=r"holds no index\.json"):
        archived(archive)


def test_what_was_registered_when_it_was_begun_stays(make_run: MakeRun, archive: Path) -> None:
    folder = make_run(cell(100))
    write_archive([cell(100)], folder, archive, PLAN)
    more = Plan(PLAN.budget, (100, 101, 102), PLAN.settings)
    write_archive([cell(100)], folder, archive, more)
    found = Archive.read(archive)
    assert (found.registered, found.plan) == (registration(PLAN), more)


def test_a_pack_that_was_changed_is_one_error_with_its_name(
    make_run: MakeRun, archive: Path
) -> None:
    write_archive([cell(100)], make_run(cell(100)), archive, PLAN)
    path = archive / "runs" / f"{cell(100).name}.zip"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RunDirectoryError, match=f"{path}: it is not the file"):
        archived(archive)
    path.unlink()
    with pytest.raises(RunDirectoryError, match=f"{path}: .*No such file"):
        known_cells(archive)


def test_a_pack_of_another_cell_is_one_error(make_run: MakeRun, archive: Path) -> None:
    cells = [cell(100), cell(101)]
    for one in cells:
        folder = make_run(one)
    write_archive(cells, folder, archive, PLAN)
    index = json.loads((archive / INDEX).read_text())
    names = [one.name for one in cells]
    index["runs"] |= dict(
        zip(names, [index["runs"][name] for name in reversed(names)], strict=True)
    )
    (archive / INDEX).write_text(json.dumps(index))
    first, second = (archive / "runs" / f"{name}.zip" for name in names)
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)
    with pytest.raises(RunDirectoryError, match=f"is not a run of {names[0]}: its seed is 101"):
        archived(archive).table("steps", cells[0])


def test_an_archive_of_another_version_is_one_error(make_run: MakeRun, archive: Path) -> None:
    write_archive([cell(100)], make_run(cell(100)), archive, PLAN)
    path = archive / INDEX
    path.write_text(json.dumps(json.loads(path.read_text()) | {"archive_version": 99}))
    with pytest.raises(RunDirectoryError, match="archive_version 99; this cl-bench reads"):
        archived(archive)


@pytest.mark.parametrize(
    "runs", [{"x": None}, {"x": {"status": "done"}}, {"../x": {"status": "done", "sha256": "0"}}]
)
def test_a_damaged_entry_is_one_error(make_run: MakeRun, archive: Path, runs: object) -> None:
    write_archive([cell(100)], make_run(cell(100)), archive, PLAN)
    index = json.loads((archive / INDEX).read_text())
    (archive / INDEX).write_text(json.dumps(index | {"runs": runs}))
    with pytest.raises(RunDirectoryError, match="Cannot use the archived run"):
        Archive.read(archive)


@pytest.mark.parametrize("text", ["[]", "{", '{"archive_version": 1, "runs": 3}'])
def test_a_damaged_index_is_one_error(make_run: MakeRun, archive: Path, text: str) -> None:
    write_archive([cell(100)], make_run(cell(100)), archive, PLAN)
    (archive / INDEX).write_text(text)
    with pytest.raises(RunDirectoryError, match=r"index\.json is damaged"):
        archived(archive)


def test_what_cannot_be_written_leaves_the_archive_as_it_was(
    make_run: MakeRun, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run(cell(100))
    write_archive([cell(100)], folder, archive, PLAN)
    before = content(archive)
    make_run(cell(101))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cl_bench.claims.archive.write_json_atomically", full)
    with pytest.raises(OSError, match="No space left on device"):
        write_archive([cell(100), cell(101)], folder, archive, PLAN)
    assert content(archive) == before
