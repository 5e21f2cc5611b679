"""The run directory: one run's manifest, tables and checkpoint, owned by one process.

    manifest.json                        configuration, provenance, status
    tables/<table>/<part>.parquet        raw rows, append-only (see cl_bench.schema)
    commits/<part>.json                  SHA-256 of each table's file of that part
    checkpoint/                          the learner's state (see cl_bench.checkpoint)
    models/stage-<n>/                    the policy at stage n's end, if the run keeps it
    figures/  summary.txt                made from the tables; can be made again
    lock                                 held by the writing process, with its number

Every file is written whole or not at all. A part is whole when its file in commits/ is there, which
is written last: readers ignore what an interrupted commit left behind, and refuse a table file that
is not the one committed. Locking needs a POSIX system.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import pyarrow as pa
import pyarrow.parquet as parquet

from cl_bench.checkpoint import Checkpoints
from cl_bench.errors import LockedError, OtherSoftwareError, RunDirectoryError, unknown
from cl_bench.files import (
    UNFINISHED,
    file_hash,
    read_json,
    replacing,
    replacing_folder,
    write_json_atomically,
    writing,
)
from cl_bench.provenance import config_hash
from cl_bench.rows import Row, to_arrow
from cl_bench.schema import SCHEMA_VERSION, TABLES
from cl_bench.table_files import read_part

if TYPE_CHECKING:
    import pandas as pd

_MANIFEST, _LOCK, _COMMITS, _MODELS = "manifest.json", "lock", "commits", "models"
_DESCRIBED = ("stream", "config")
_NUMBER = "[0-9]" * 6


class RunDirectory:
    """One run on disk. Made by `create`, read by `open`; write only inside `locked()`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = Checkpoints(path / "checkpoint")
        self._committed: dict[int, dict[str, str]] = {}

    @classmethod
    def create(cls, path: Path, manifest: Mapping[str, Any]) -> RunDirectory:
        """A new directory with `manifest`, to which the schema version is added.

        A path that holds anything, is a file or cannot be written is a `RunDirectoryError`.
        """
        directory = cls(path)
        directory._refuse_content()
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunDirectoryError(
                f"Cannot create {path}: {error.strerror}. Give another --out."
            ) from error
        # Of two processes that create one path, the second is refused.
        with directory.locked(), writing(path):
            directory._refuse_content()
            content = {"schema_version": SCHEMA_VERSION, **manifest}
            write_json_atomically(path / _MANIFEST, content)
        return directory

    @classmethod
    def open(cls, path: Path) -> RunDirectory:
        """An existing run directory; missing, damaged or foreign ones are a `RunDirectoryError`."""
        if path.is_file():
            raise RunDirectoryError(f"{path} is a file. A run is a directory: give its path.")
        if not path.is_dir():
            raise RunDirectoryError(
                f"There is no run directory {path}. `cl-bench run --out {path}` makes one."
            )
        if not (path / _MANIFEST).exists():
            raise RunDirectoryError(
                f"{path} holds no {_MANIFEST}: it is no run directory, or the run ended before it "
                "began. Name another directory, or start anew with another --out."
            )
        directory = cls(path)
        directory._check_manifest()
        return directory

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest as it is on disk now; changing the copy changes nothing."""
        manifest = read_json(self.path / _MANIFEST)
        if not isinstance(manifest, dict):
            raise RunDirectoryError(
                f"{self.path / _MANIFEST} is damaged: it holds a {type(manifest).__name__}, "
                "not an object. Restore it from a copy."
            )
        return manifest

    def update_manifest(self, **changes: Any) -> None:
        """Replace top-level entries of the manifest, all of them or none."""
        with writing(self.path):
            write_json_atomically(self.path / _MANIFEST, {**self.manifest, **changes})

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Own the directory inside: a second writer gets a `LockedError`.

        The lock goes with the process, however that ends.
        """
        with (self.path / _LOCK).open("a+", encoding="utf-8") as file:
            _take_lock(file, self.path)
            with suppress(OSError):  # the number is for people; a full disk may refuse it
                file.truncate(0)
                file.write(str(os.getpid()))
                file.flush()
            try:
                yield
            finally:
                file.truncate(0)
                fcntl.flock(file, fcntl.LOCK_UN)

    def commit(self, part: int, rows: Mapping[str, Sequence[Row]]) -> None:
        """Write `rows` as part number `part` of every table; tables not named get no rows.

        Rows that do not fit the schema, and a part that exists or does not follow on the last one,
        are a `RunDirectoryError`; nothing is written then.
        """
        for table in rows:
            _check_table(table)
        expected = len(self._parts())
        if part != expected:
            raise RunDirectoryError(
                f"Part {part} cannot be added to {self.path}: the next part is {expected}. "
                "Recorded rows are never replaced; `discard_after` drops those after a checkpoint."
            )
        checked = {table: to_arrow(table, rows.get(table, ())) for table in TABLES}
        with writing(self.path):
            hashes = {table: self._write(table, part, checked[table]) for table in TABLES}
            record = self._record(part)
            record.parent.mkdir(exist_ok=True)
            write_json_atomically(record, hashes)

    def discard_after(self, part: int) -> None:
        """Delete all parts with a higher number than `part`; -1 deletes every row."""
        self._committed = {}
        # A part's record goes before its tables, and the last part goes first.
        for folder in (self.path / _COMMITS, *(self._folder(table) for table in TABLES)):
            for file in sorted(folder.glob(f"{_NUMBER}.*"), reverse=True):
                if int(file.stem) > part:
                    file.unlink()

    def verify(self, part: int) -> None:
        """Raise `RunDirectoryError` unless all rows up to that part are as they were committed."""
        for number in range(part + 1):
            for table in TABLES:
                self._read(table, number, TABLES[table].names)

    @contextmanager
    def stage_model(self, stage: int) -> Iterator[Path]:
        """A fresh folder for the model of a stage's end; on success it is `models/stage-<n>`.

        One that a resumed run writes again replaces the one before.
        """
        with writing(self.path), replacing_folder(self.path / _MODELS / f"stage-{stage}") as folder:
            yield folder

    def sweep(self) -> None:
        """Delete what killed processes left: temporary files, checkpoints not current and
        half-written models."""
        self.checkpoints.sweep()
        for folder in (self.path / _MODELS).glob(f"*{UNFINISHED}"):
            shutil.rmtree(folder)
        for leftover in self.path.rglob(".*.tmp"):
            leftover.unlink()

    def table(self, name: str) -> pd.DataFrame:
        """All rows of a table in the order they were written; columns as in cl_bench.schema.

        A table without rows is a frame with columns and types. A file that is missing, or is not
        the one that was committed, is a `RunDirectoryError` with its name.
        """
        return self.select(name).to_pandas(use_threads=False)

    def select(
        self, name: str, columns: Sequence[str] | None = None, *, first: bool = False
    ) -> pa.Table:
        """As `table`, but an Arrow table of these columns only, in the schema's order; quicker.

        With `first` only the rows of the first part, which holds the whole first evaluation.
        """
        _check_table(name)
        fields = (field for field in TABLES[name] if columns is None or field.name in columns)
        wanted = pa.schema(list(fields))
        chosen = self._parts()[: 1 if first else None]
        parts = [self._read(name, part, wanted.names) for part in chosen]
        return pa.concat_tables([wanted.empty_table(), *parts])

    def _refuse_content(self) -> None:
        occupied = self.path.exists() and not self.path.is_dir()
        if occupied or (self.path.is_dir() and not all(map(_is_leftover, self.path.iterdir()))):
            raise RunDirectoryError(
                f"{self.path} already exists and nothing in it is overwritten. Give another --out, "
                f"or go on with an interrupted run there: `cl-bench run --resume {self.path}`."
            )

    def _check_manifest(self) -> None:
        manifest = self.manifest
        version = manifest.get("schema_version")
        if version != SCHEMA_VERSION:
            written = (manifest.get("provenance") or {}).get("cl_bench", "another version")
            raise OtherSoftwareError(
                f"{self.path} has tables of schema version {version!r}; this cl-bench reads "
                f"version {SCHEMA_VERSION}. Read it with the cl-bench that wrote it ({written})."
            )
        described = {key: value for key, value in manifest.items() if key in _DESCRIBED}
        if "config_hash" in manifest and config_hash(described) != manifest["config_hash"]:
            raise RunDirectoryError(
                f"{self.path / _MANIFEST} was edited: its stream and configuration are not those "
                "the run began with (config_hash differs). Restore it from a copy, or start a run "
                "with another --out."
            )

    def _folder(self, table: str) -> Path:
        return self.path / "tables" / table

    def _part_file(self, table: str, part: int) -> Path:
        return self._folder(table) / f"{part:06d}.parquet"

    def _record(self, part: int) -> Path:
        return self.path / _COMMITS / f"{part:06d}.json"

    def _parts(self) -> range:
        """Numbers of the whole parts: 0, 1, …"""
        files = (self.path / _COMMITS).glob(f"{_NUMBER}.json")
        return range(max((int(file.stem) + 1 for file in files), default=0))

    def _hash(self, part: int, table: str) -> str:
        """What was committed as that part of the table; a part's record is read once."""
        if part not in self._committed:
            self._committed[part] = self._hashes(part)
        return self._committed[part][table]

    def _hashes(self, part: int) -> dict[str, str]:
        """By table, what was committed as that part."""
        record = self._record(part)
        found = read_json(record)
        if not isinstance(found, dict) or found.keys() != TABLES.keys():
            raise RunDirectoryError(
                f"{record} is damaged: it does not name the tables. Restore it from a copy."
            )
        return found

    def _write(self, table: str, part: int, content: pa.Table) -> str:
        """Write one table's file of a part and return its hash."""
        target = self._part_file(table, part)
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as temporary:
            parquet.write_table(content, temporary)
        return file_hash(target)

    def _read(self, table: str, part: int, columns: Sequence[str]) -> pa.Table:
        file = self._part_file(table, part)
        return read_part(file, TABLES[table], lambda: self._hash(part, table), columns)


def _take_lock(file: TextIO, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        owner = file.read().strip() or "unknown, it is just starting"
        raise LockedError(
            f"{path} is being written by another process (pid {owner}). Wait for it or stop it, "
            "or give another --out."
        ) from None
    except OSError as error:
        raise RunDirectoryError(
            f"{path} cannot be locked: {error.strerror}. Give an --out on a file system with locks."
        ) from error


def _check_table(name: str) -> None:
    if name not in TABLES:
        raise unknown("table", name, TABLES)


def _is_leftover(path: Path) -> bool:
    """What a process leaves that was killed before it had written a manifest."""
    return path.name == _LOCK or (path.name.startswith(f".{_MANIFEST}.") and path.suffix == ".tmp")
