"""Finished runs packed into a few Parquet files, small enough to commit.

    runs.parquet         one row per run (see `cl_bench.claims.tables.RUNS`)
    <table>.parquet      the kept rows of a table of all finished runs, with a column `cell`
    manifest.json        versions, what was left out, the plan, the SHA-256 of every file

The same runs give the same bytes. An archive can be extended on another machine: runs that are not
there stay as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.compute as compute
import pyarrow.parquet as parquet

from cl_bench.claims.tables import (
    CODE,
    FLOAT32,
    RUNS,
    TABLES,
    THINNED,
    row_of,
    table_of,
    table_schema,
)
from cl_bench.contract.errors import DamagedError, RunDirectoryError
from cl_bench.store.files import file_hash, read_json, replacing, write_json_atomically
from cl_bench.store.run_directory import RunDirectory
from cl_bench.store.schema import SCHEMA_VERSION
from cl_bench.sweep.cell import Cell
from cl_bench.sweep.state import FINISHED

VERSION = 1
"""Counts up whenever files or columns of an archive change their meaning."""
SCHEMAS = (3, 4, 5)
"""Schema versions whose archives are read: the kept tables are the same in all of them. An archive
that is extended becomes one of the last."""
_MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Archive:
    """An archive, read."""

    rows: Mapping[str, Mapping[str, Any]]
    """By a cell's name its row of `RUNS`."""
    tables: Mapping[str, Mapping[str, pa.Table]]
    """By table, then by cell; cells whose runs did not finish have none."""
    plan: Mapping[str, Any] | None
    """Budget, seeds, settings and model of the plan it was written with."""
    registered: Mapping[str, Any] | None = None
    """The `registration` of rules and plan when it was begun."""

    @classmethod
    def read(cls, path: Path) -> Archive:
        """The archive in the folder `path`; `RunDirectoryError` names a file that is not its."""
        manifest = _manifest(path)
        runs = _read(path, "runs", manifest)
        tables = {name: _by_cell(_read(path, name, manifest)) for name in TABLES}
        rows = {row["cell"]: row for row in runs.to_pylist()}
        return cls(rows, tables, manifest.get("plan"), manifest.get("registered"))

    def table(self, name: str, cell: str) -> pa.Table:
        """One of `TABLES` of a finished run; without rows where it has none."""
        return self.tables[name].get(cell, table_schema(name).empty_table())


EMPTY = Archive({}, {name: {} for name in TABLES}, None)


def exists(path: Path) -> bool:
    """Whether there is an archive in the folder."""
    return (path / _MANIFEST).exists()


def known_cells(path: Path) -> dict[str, str]:
    """The status of every cell whose run is finished in an archive; none where there is none."""
    rows = Archive.read(path).rows if exists(path) else {}
    return {name: row["status"] for name, row in rows.items() if row["status"] in FINISHED}


def write_archive(
    cells: Iterable[Cell],
    folder: Path,
    out: Path,
    *,
    plan: Mapping[str, Any] | None = None,
    registered: Mapping[str, Any] | None = None,
    failures: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Pack the runs of `cells` in `folder` into `out`, or add them to the archive there.

    `registered` is kept when the archive is begun and never changed afterwards.
    A run on this machine takes the place of the archived one, except that an unfinished or failed
    one never replaces a finished one. Cells of which nothing is on this machine stay as they are.
    `failures` has, by name, why a cell could not be made now.
    """
    old = Archive.read(out) if exists(out) else replace(EMPTY, registered=registered)
    here = {cell.name: row_of(cell, folder, failures) for cell in cells}
    rows = dict(old.rows)
    tables = {name: dict(old.tables[name]) for name in TABLES}
    for cell, row in here.items():
        finished = row["status"] in FINISHED
        known = rows.get(cell, {}).get("status") in FINISHED
        if row["status"] != "missing" and (finished or not known):
            rows[cell] = row
        if finished:
            run = RunDirectory.open(folder / cell)
            for name in TABLES:
                tables[name][cell] = table_of(name, run)
    chosen = old.plan if plan is None else plan
    _write(Archive(rows, tables, chosen, old.registered), out)


def _write(archive: Archive, out: Path) -> None:
    """Write all files under temporary names; then they take their places, the manifest last."""
    rows = sorted(archive.rows.values(), key=lambda row: str(row["cell"]))
    files = {"runs": pa.Table.from_pylist(rows, schema=RUNS)}
    files |= {name: _joined(name, archive.tables[name]) for name in TABLES}
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as places:
        manifest = places.enter_context(replacing(out / _MANIFEST))
        hashes = {}
        for name, table in files.items():
            target = places.enter_context(replacing(out / f"{name}.parquet"))
            parquet.write_table(table, target, compression="zstd", compression_level=9)
            hashes[f"{name}.parquet"] = file_hash(target)
        write_json_atomically(manifest, description(archive) | {"files": hashes})


def description(archive: Archive) -> dict[str, Any]:
    """What an archive's manifest says of it, but for the hashes of its files."""
    rows = archive.rows.values()
    code = Counter(tuple(row[name] for name in CODE) for row in rows)
    ordered = sorted(code.items(), key=str)
    return {
        "archive_version": VERSION,
        "schema_version": SCHEMA_VERSION,
        "left_out": THINNED,
        "float32": {name: list(columns) for name, columns in FLOAT32.items()},
        "cells": len(rows),
        "status": dict(sorted(Counter(str(row["status"]) for row in rows).items())),
        "code": [{**dict(zip(CODE, key, strict=True)), "cells": n} for key, n in ordered],
        "plan": archive.plan,
        "registered": archive.registered,
    }


def _joined(name: str, by_cell: Mapping[str, pa.Table]) -> pa.Table:
    """One table of all cells, by their names, with the cell before the other columns."""
    column = pa.field("cell", pa.string())
    schema = pa.schema([column, *table_schema(name)])
    parts = [
        table.add_column(0, column, pa.array([cell] * len(table), pa.string()))
        for cell, table in sorted(by_cell.items())
    ]
    # In one chunk, so that the file does not depend on how the rows came together.
    return pa.concat_tables([schema.empty_table(), *parts]).combine_chunks()


def _by_cell(table: pa.Table) -> dict[str, pa.Table]:
    cells = table["cell"]
    rest = table.drop_columns(["cell"])
    return {
        cell: rest.filter(compute.equal(cells, cell)) for cell in compute.unique(cells).to_pylist()
    }


def _manifest(path: Path) -> dict[str, Any]:
    file = path / _MANIFEST
    if not file.exists():
        raise RunDirectoryError(
            f"There is no archive of runs in {path}: it holds no {_MANIFEST}. "
            f"`cl-bench reproduce --archive {path}` makes one."
        )
    manifest = read_json(file)
    read = {"archive_version": (VERSION,), "schema_version": SCHEMAS}
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise RunDirectoryError(f"{file} is damaged: it names no files. Restore it from a copy.")
    for name, versions in read.items():
        if manifest.get(name) not in versions:
            raise RunDirectoryError(
                f"{file} has {name} {manifest.get(name)!r}; this cl-bench reads "
                f"{' and '.join(map(str, versions))}. Read it with the cl-bench that wrote it, or "
                "make another --archive."
            )
    return manifest


def _read(path: Path, name: str, manifest: Mapping[str, Any]) -> pa.Table:
    file = path / f"{name}.parquet"
    schema = RUNS if name == "runs" else pa.schema([("cell", pa.string()), *table_schema(name)])
    try:
        if file_hash(file) != manifest["files"].get(file.name):
            raise _unusable(file, "it is not the file that the manifest names")
        table = parquet.ParquetFile(file, pre_buffer=False).read(use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise _unusable(file, str(error)) from error
    if manifest["schema_version"] < SCHEMA_VERSION:
        table = _with_new_columns(table, schema)
    if table.schema.names != schema.names:
        raise _unusable(file, f"its columns are {', '.join(table.schema.names)}")
    return table.cast(schema)


def _with_new_columns(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table of an older archive, null in the columns that it did not know."""
    for field in schema:
        if field.nullable and field.name not in table.schema.names:
            table = table.append_column(field.name, pa.nulls(len(table), field.type))
    whole = set(schema.names) == set(table.schema.names)
    return table.select(schema.names) if whole else table


def _unusable(file: Path, reason: str) -> DamagedError:
    message = (
        f"Cannot use the archived table {file}: {reason}. Restore the archive from a copy, or "
        "delete it and pack the runs again."
    )
    return DamagedError(message, file.name, reason)
