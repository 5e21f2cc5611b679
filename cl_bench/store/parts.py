"""The rows of a run on disk: Parquet files in numbered parts, and what says that a part is whole.

    tables/<table>/<part>.parquet        the rows of a part
    commits/<part>.json                  SHA-256 of each table's file of that part

A part is whole when its file in commits/ is there, which is written last.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet

from cl_bench.contract.errors import DamagedError, RunDirectoryError, unknown
from cl_bench.store.files import file_hash, read_json, replacing, write_json_atomically, writing
from cl_bench.store.rows import Row, require_columns, to_arrow, with_nulls
from cl_bench.store.schema import TABLES

_COMMITS = "commits"
_NUMBER = "[0-9]" * 6
_RECORD = re.compile(rf"({_NUMBER})\.json")


class Parts:
    """The parts in one run directory."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._committed: dict[int, dict[str, str]] = {}

    def numbers(self) -> range:
        """The numbers of the whole parts: 0, 1, …"""
        try:
            names = os.listdir(self._home / _COMMITS)  # noqa: PTH208 - many times faster than a glob
        except FileNotFoundError:
            return range(0)
        found = (_RECORD.fullmatch(name) for name in names)
        return range(max((int(match[1]) + 1 for match in found if match), default=0))

    def add(self, part: int, rows: Mapping[str, Sequence[Row]]) -> None:
        """Write a part; wrong rows or numbers are a `RunDirectoryError`, with nothing written."""
        for table in rows:
            _require_table(table)
        expected = len(self.numbers())
        if part != expected:
            raise RunDirectoryError(
                f"Part {part} cannot be added to {self._home}: the next part is {expected}. "
                "Recorded rows are never replaced; `discard_after` drops those after a checkpoint."
            )
        checked = {table: to_arrow(table, rows.get(table, ())) for table in TABLES}
        with writing(self._home):
            hashes = {table: self._write(table, part, checked[table]) for table in TABLES}
            record = self._record(part)
            record.parent.mkdir(exist_ok=True)
            write_json_atomically(record, hashes)

    def discard_after(self, part: int) -> None:
        """Delete all parts with a higher number; -1 deletes every row."""
        # A part's record goes before its tables, and the last part goes first.
        for folder in (_COMMITS, *(f"tables/{table}" for table in TABLES)):
            for file in sorted((self._home / folder).glob(f"{_NUMBER}.*"), reverse=True):
                if int(file.stem) > part:
                    file.unlink()

    def table(
        self, name: str, columns: Sequence[str] | None = None, *, first: bool = False
    ) -> pa.Table:
        """All rows of a table, or those of the first part, in the order they were written; all
        columns or these, in the order of the schema."""
        _require_table(name)
        names = None if columns is None else tuple(columns)
        chosen = self.numbers()[: 1 if first else None]
        parts = [self.read(name, part, names) for part in chosen]
        if len(parts) == 1:
            return parts[0]
        return pa.concat_tables([_some(TABLES[name], names).empty_table(), *parts])

    def read(self, table: str, part: int, columns: tuple[str, ...] | None = None) -> pa.Table:
        """One table's rows of a part; a file that is not what was committed is an error.

        The file is read from the disk once, so that what was checked is what is used, and without
        threads, whose start takes longer than reading it.
        """
        wanted, file = _some(TABLES[table], columns), self._file(table, part)
        if part not in self._committed:  # a part's record is read once
            self._committed[part] = self._hashes(part)
        try:
            raw = file.read_bytes()
            if sha256(raw).hexdigest() != self._committed[part][table]:
                raise _unreadable(file, "it was cut short or edited after it was committed")
            stored = parquet.ParquetFile(pa.BufferReader(raw), pre_buffer=False)
            require_columns(table, found := stored.schema_arrow)
            names = [name for name in wanted.names if name in found.names]
            return with_nulls(stored.read(columns=names, use_threads=False), wanted)
        except (OSError, pa.ArrowException, ValueError) as error:
            raise _unreadable(file, str(error)) from error

    def _file(self, table: str, part: int) -> Path:
        return self._home / "tables" / table / f"{part:06d}.parquet"

    def _record(self, part: int) -> Path:
        return self._home / _COMMITS / f"{part:06d}.json"

    def _hashes(self, part: int) -> dict[str, str]:
        """By table, what was committed as that part."""
        record = self._record(part)
        found = read_json(record)
        if not isinstance(found, dict) or found.keys() != set(TABLES):
            raise RunDirectoryError(
                f"{record} is damaged: it does not name the tables. Restore it from a copy."
            )
        return found

    def _write(self, table: str, part: int, content: pa.Table) -> str:
        """Write one table's file of a part and return its hash."""
        target = self._file(table, part)
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as temporary:
            parquet.write_table(content, temporary)
        return file_hash(target)


@cache
def _some(schema: pa.Schema, names: tuple[str, ...] | None) -> pa.Schema:
    """The columns of a schema that are named, in its order, or all."""
    return schema if names is None else pa.schema([f for f in schema if f.name in names])


def _require_table(name: str) -> None:
    """Raise `UsageError` unless there is a table of that name."""
    if name not in TABLES:
        raise unknown("table", name, TABLES)


def _unreadable(file: Path, reason: str) -> DamagedError:
    message = (
        f"Cannot use the table file {file}: {reason}. Restore it from a copy; when the run is "
        f"unfinished, `cl-bench run --resume {file.parents[2]}` writes parts after its checkpoint "
        "again."
    )
    return DamagedError(message, file.relative_to(file.parents[2]).as_posix(), reason)
