"""Archives: small, the same bytes again, extensible, and refused when they are not whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cl_bench.claims.archive import Archive, known_cells, write_archive
from cl_bench.claims.data import Data
from cl_bench.claims.tables import TABLES
from cl_bench.contract.errors import RunDirectoryError
from cl_bench.store.schema import SCHEMA_VERSION
from cl_bench.sweep.cell import Cell

MakeRun = Callable[..., Path]


def cell(seed: int, **more: Any) -> Cell:
    return Cell("facts", "rl", seed, 4, {"eval_every": 2}, **more)


def content(folder: Path) -> Mapping[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def test_an_archive_holds_what_the_directories_say(make_run: MakeRun, archive: Path) -> None:
    cells = [cell(100), cell(101)]
    for one in cells:
        folder = make_run(one)
    write_archive(cells, folder, archive)
    packed, runs = Data.of_archive(archive), Data.of_runs(cells, folder)
    for one in cells:
        for name in TABLES:
            pd.testing.assert_frame_equal(packed.table(name, one), runs.table(name, one))
    pd.testing.assert_frame_equal(packed.runs(cells), runs.runs(cells))


def test_the_same_runs_give_the_same_bytes_whatever_their_order(
    make_run: MakeRun, archive: Path, tmp_path: Path
) -> None:
    cells = [cell(100), cell(101)]
    for one in cells:
        folder = make_run(one)
    write_archive(cells, folder, archive)
    first = content(archive)
    write_archive(cells, folder, archive)
    assert content(archive) == first
    write_archive(cells[1:], folder, tmp_path / "parts")
    write_archive(cells[:1], folder, tmp_path / "parts")
    assert content(tmp_path / "parts") == first


def test_runs_of_another_machine_stay_and_those_of_this_one_replace(
    make_run: MakeRun, archive: Path, tmp_path: Path
) -> None:
    cells = [cell(100), cell(101), cell(102)]
    there = make_run(cells[0], folder=tmp_path / "there")
    make_run(cells[1], folder=there)
    write_archive(cells, there, archive)
    here = make_run(cells[1], lambda *_: 0.75)
    make_run(cells[2])
    write_archive(cells, here, archive)
    data = Data.of_archive(archive)
    assert [data.cell_accuracy(one, "facts") for one in cells] == [0.04, 0.75, 0.04]


def test_an_unfinished_run_is_listed_but_never_replaces_a_finished_one(
    make_run: MakeRun, archive: Path, tmp_path: Path
) -> None:
    there = make_run(cell(100), folder=tmp_path / "there")
    write_archive([cell(100)], there, archive)
    here = make_run(cell(100), status="failed", reason="no memory")
    make_run(cell(101), status="failed", reason="no memory")
    make_run(cell(102), status="diverged", reason="Step 3 diverged: nan.")
    write_archive([cell(100), cell(101), cell(102), cell(103)], here, archive)
    data = Data.of_archive(archive)
    found = data.runs().set_index("cell")["status"].to_dict()
    assert found == {
        cell(100).name: "done",
        cell(101).name: "failed",
        cell(102).name: "diverged",
    }
    assert data.cell_accuracy(cell(100), "facts") == 0.04
    assert known_cells(archive) == {cell(100).name: "done", cell(102).name: "diverged"}


def test_a_cell_that_could_not_be_made_is_kept_with_its_reason(
    make_run: MakeRun, archive: Path
) -> None:
    folder = make_run(cell(100))
    make_run(cell(101), status="running")
    failures = dict.fromkeys((cell(n).name for n in (100, 101, 102)), "ModelError: gone")
    write_archive([cell(n) for n in (100, 101, 102, 103)], folder, archive, failures=failures)
    runs = Data.of_archive(archive).runs([cell(n) for n in (100, 101, 102, 103)])
    assert runs["status"].tolist() == ["done", "failed", "failed", "missing"]
    assert runs["reason"].tolist()[1:3] == ["ModelError: gone"] * 2
    make_run(cell(102))
    write_archive([cell(102)], folder, archive)
    assert known_cells(archive) == {cell(100).name: "done", cell(102).name: "done"}


def test_no_archive_knows_no_cells(archive: Path) -> None:
    assert known_cells(archive) == {}
    with pytest.raises(RunDirectoryError, match=r"holds no manifest\.json"):
        Data.of_archive(archive)


def test_the_manifest_says_what_is_there_and_what_was_left_out(
    make_run: MakeRun, archive: Path
) -> None:
    write_archive([cell(100)], make_run(cell(100)), archive, plan={"budget": "small"})
    manifest = json.loads((archive / "manifest.json").read_text())
    assert (manifest["cells"], manifest["status"]) == (1, {"done": 1})
    assert set(manifest["files"]) == {f"{name}.parquet" for name in ("runs", *TABLES)}
    assert manifest["code"][0]["git_commit"] == "c" * 40
    assert "no answers" in manifest["left_out"]
    assert manifest["plan"] == {"budget": "small"}


def test_what_was_registered_when_it_was_begun_stays(make_run: MakeRun, archive: Path) -> None:
    folder = make_run(cell(100))
    write_archive([cell(100)], folder, archive, registered={"rules": "a"})
    write_archive([cell(100)], folder, archive, registered={"rules": "b"})
    assert Archive.read(archive).registered == {"rules": "a"}


def test_an_archive_begun_without_rules_does_not_get_later_ones(
    make_run: MakeRun, archive: Path
) -> None:
    folder = make_run(cell(100))
    write_archive([cell(100)], folder, archive)
    write_archive([cell(100)], folder, archive, registered={"rules": "b"})
    assert Archive.read(archive).registered is None


@pytest.mark.parametrize("file", [*TABLES, "runs"])
def test_a_file_that_was_changed_is_one_error_with_its_name(
    make_run: MakeRun, archive: Path, file: str
) -> None:
    write_archive([cell(100)], make_run(cell(100)), archive)
    path = archive / f"{file}.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RunDirectoryError, match=f"{file}.parquet: it is not the file"):
        Data.of_archive(archive)
    path.unlink()
    with pytest.raises(RunDirectoryError, match=f"{file}.parquet: .*No such file"):
        known_cells(archive)


@pytest.mark.parametrize("name", ["schema_version", "archive_version"])
def test_an_archive_of_another_version_is_one_error(
    make_run: MakeRun, archive: Path, name: str
) -> None:
    write_archive([cell(100)], make_run(cell(100)), archive)
    path = archive / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: 99}))
    with pytest.raises(RunDirectoryError, match=f"{name} 99; this cl-bench reads"):
        Data.of_archive(archive)


def test_an_archive_of_schema_version_3_is_read_and_extended(
    make_run: MakeRun, archive: Path
) -> None:
    folder = make_run(cell(100))
    write_archive([cell(100)], folder, archive, plan={"budget": "small"}, registered={"rules": "a"})
    path = archive / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 3}))
    before = Archive.read(archive)
    assert known_cells(archive) == {cell(100).name: "done"}
    make_run(cell(101))
    write_archive([cell(101)], folder, archive)
    assert json.loads(path.read_text())["schema_version"] == SCHEMA_VERSION
    after = Archive.read(archive)
    assert known_cells(archive) == {cell(100).name: "done", cell(101).name: "done"}
    assert (after.plan, after.registered) == (before.plan, before.registered)
    for name in TABLES:
        assert after.table(name, cell(100).name) == before.table(name, cell(100).name)


@pytest.mark.parametrize("text", ["[]", "{", '{"files": 3}'])
def test_a_damaged_manifest_is_one_error(make_run: MakeRun, archive: Path, text: str) -> None:
    write_archive([cell(100)], make_run(cell(100)), archive)
    (archive / "manifest.json").write_text(text)
    with pytest.raises(RunDirectoryError, match=r"manifest\.json is damaged"):
        Data.of_archive(archive)


def test_what_cannot_be_written_leaves_the_archive_as_it_was(
    make_run: MakeRun, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run(cell(100))
    write_archive([cell(100)], folder, archive)
    before = content(archive)
    make_run(cell(101))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cl_bench.claims.archive.write_json_atomically", full)
    with pytest.raises(OSError, match="No space left on device"):
        write_archive([cell(100), cell(101)], folder, archive)
    assert content(archive) == before
