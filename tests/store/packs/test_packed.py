"""Packed runs: the tables of their directory, the same bytes every time, hashes held on reading."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from cl_bench.analysis.run_values import run_metrics
from cl_bench.contract.errors import DamagedError, OtherSoftwareError, RunDirectoryError, UsageError
from cl_bench.store.packs.container import written
from cl_bench.store.packs.packed import PackedRun
from cl_bench.store.run_directory import RunDirectory
from cl_bench.store.run_tables import open_run
from cl_bench.store.schema import TABLES
from cl_bench.verify.packing import pack

Unpack = Callable[..., Path]


def members(pack: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(pack) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def changed(pack: Path, target: Path, **contents: object) -> Path:
    """The pack with other entries in its pack.json."""
    found = members(pack)
    said = json.loads(found["pack.json"]) | contents
    target.write_bytes(written(found | {"pack.json": json.dumps(said).encode()}))
    return target


def test_a_pack_has_the_tables_manifest_and_metrics_of_its_directory(
    packed_run: Path, unpacked: Unpack, tmp_path: Path
) -> None:
    directory = RunDirectory.open(unpacked(packed_run))
    pack(directory).write(tmp_path / "again.zip")
    again = open_run(tmp_path / "again.zip")
    assert again.manifest == directory.manifest
    for name in TABLES:
        pd.testing.assert_frame_equal(again.table(name), directory.table(name))
    assert str(run_metrics(again)) == str(run_metrics(directory))


def test_the_same_run_gives_the_same_bytes_however_its_rows_were_written(
    packed_run: Path, unpacked: Unpack, tmp_path: Path
) -> None:
    whole = RunDirectory.open(unpacked(packed_run))
    parts = RunDirectory.create(tmp_path / "parts", whole.manifest)
    (parts.path / "manifest.json").write_bytes((whole.path / "manifest.json").read_bytes())
    rows = {name: whole.select(name).to_pylist() for name in TABLES}
    for number in (0, 1):
        cut = {
            name: every[: len(every) // 2] if number == 0 else every[len(every) // 2 :]
            for name, every in rows.items()
        }
        parts.commit(number, cut)
    assert pack(parts).content == pack(whole).content == pack(whole).content


def test_a_pack_says_what_it_holds_and_what_was_left_out(packed_run: Path) -> None:
    run = PackedRun.open(packed_run)
    assert run.contents["pack_version"] == 1
    assert run.contents["schema_version"] == run.manifest["schema_version"]
    assert "checkpoint" in run.contents["left_out"]
    entry = run.contents["members"]["tables/items.parquet"]
    assert entry["rows"] == len(run.table("items"))
    assert entry["bytes"] == len(members(packed_run)["tables/items.parquet"])
    accuracy = run.contents["metrics"]["values"]["average_accuracy"]["value"]
    assert accuracy == pytest.approx(run_metrics(run)["average_accuracy"])
    with zipfile.ZipFile(packed_run) as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert not any("checkpoint" in name or "model" in name for name in archive.namelist())


def test_an_unfinished_run_is_refused_with_what_to_type(packed_run: Path, unpacked: Unpack) -> None:
    home = unpacked(packed_run)
    RunDirectory.open(home).update_manifest(status="running")
    with pytest.raises(RunDirectoryError, match=rf"not finished.*cl-bench run --resume {home}"):
        pack(RunDirectory.open(home))


def test_a_table_whose_hash_does_not_fit_is_refused_when_it_is_read(
    packed_run: Path, tmp_path: Path
) -> None:
    found = members(packed_run)
    found["tables/items.parquet"] = found["tables/timing.parquet"]
    target = tmp_path / "a.zip"
    target.write_bytes(written(found))
    run = PackedRun.open(target)
    assert len(run.table("timing"))
    with pytest.raises(DamagedError, match=r"tables/items\.parquet was edited or cut short"):
        run.table("items")
    with pytest.raises(UsageError, match="Unknown table"):
        run.table("item")


@pytest.mark.parametrize("name", ["manifest.json", "tables/steps.parquet", "pack.json"])
def test_a_missing_member_is_named(packed_run: Path, tmp_path: Path, name: str) -> None:
    found = members(packed_run)
    del found[name]
    (tmp_path / "a.zip").write_bytes(written(found))
    with pytest.raises(DamagedError, match=rf"its member {name} is missing"):
        PackedRun.open(tmp_path / "a.zip")


def test_other_versions_are_refused(packed_run: Path, tmp_path: Path) -> None:
    newer = changed(packed_run, tmp_path / "a.zip", pack_version=2)
    with pytest.raises(OtherSoftwareError, match=r"version 2; .* reads version 1"):
        PackedRun.open(newer)
    other = changed(packed_run, tmp_path / "b.zip", schema_version=2)
    with pytest.raises(DamagedError, match="names the schema version 2, but the run's is"):
        PackedRun.open(other)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not whole JSON"),
        ("[]", "holds no object"),
        ('{"a": 1, "a": 2}', "a name stands twice"),
        ('{"a": NaN}', "NaN is not a number"),
        ("[" * 100_000, "not whole JSON"),
        ('{"pack_version": 1, "members": 3}', "does not give the hashes"),
        ('{"pack_version": 1, "members": {"manifest.json": {}}}', "does not give the hashes"),
    ],
)
def test_a_damaged_description_is_refused(
    packed_run: Path, tmp_path: Path, text: str, words: str
) -> None:
    found = members(packed_run) | {"pack.json": text.encode()}
    (tmp_path / "a.zip").write_bytes(written(found))
    with pytest.raises(DamagedError, match=words):
        PackedRun.open(tmp_path / "a.zip")
