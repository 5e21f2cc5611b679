"""The run directory: one run's manifest, tables and checkpoint, owned by one process.

    manifest.json                        configuration, provenance, status
    tables/<table>/<part, 6 digits>.parquet   raw rows, append-only (see cl_bench.schema)
    checkpoint/<number>/                 the learner's state; checkpoint/current names the valid one
    figures/  summary.txt                made from the tables; can be made again
    lock                                 held by the writing process, with its number

Every file is written whole or not at all. A commit is whole when its file of the last table is
there: readers ignore what an interrupted commit left behind. Locking needs a POSIX system.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import pyarrow as pa
import pyarrow.parquet as parquet

from cl_bench.errors import RunDirectoryError, unknown
from cl_bench.files import flush, read_json, replacing, write_json_atomically, write_text_atomically
from cl_bench.schema import SCHEMA_VERSION, TABLES, Row, to_arrow

if TYPE_CHECKING:
    import pandas as pd

_MANIFEST, _LOCK, _CURRENT = "manifest.json", "lock", "current"
_LAST_TABLE = list(TABLES)[-1]
_PART_FILES = "[0-9]" * 6 + ".parquet"


class RunDirectory:
    """One run on disk. Made by `create`, read by `open`; write only inside `locked()`."""

    def __init__(self, path: Path) -> None:
        self.path = path

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
        with directory.locked():  # of two processes that create one path, the second is refused
            directory._refuse_content()
            content = {"schema_version": SCHEMA_VERSION, **manifest}
            write_json_atomically(path / _MANIFEST, content)
        return directory

    @classmethod
    def open(cls, path: Path) -> RunDirectory:
        """An existing run directory; missing, damaged or foreign ones are a `RunDirectoryError`."""
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
        directory._check_version()
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
        write_json_atomically(self.path / _MANIFEST, {**self.manifest, **changes})

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Own the directory inside: a second writer gets a `RunDirectoryError`.

        The lock goes with the process, however that ends.
        """
        with (self.path / _LOCK).open("a+", encoding="utf-8") as file:
            _take_lock(file, self.path)
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
        for table, content in checked.items():
            target = self._part_file(table, part)
            target.parent.mkdir(parents=True, exist_ok=True)
            with replacing(target) as temporary:
                parquet.write_table(content, temporary)

    def discard_after(self, part: int) -> None:
        """Delete all parts with a higher number than `part`; -1 deletes every row."""
        for table in reversed(list(TABLES)):  # the table that makes a commit whole goes first
            for file in sorted(self._folder(table).glob(_PART_FILES), reverse=True):
                if int(file.stem) > part:
                    file.unlink()
            for leftover in self._folder(table).glob(".*.tmp"):  # of a process that was killed
                leftover.unlink()

    def table(self, name: str) -> pd.DataFrame:
        """All rows of a table in the order they were written; columns as in cl_bench.schema.

        A table without rows is a frame with columns and types. A damaged or missing file is a
        `RunDirectoryError` with its name.
        """
        _check_table(name)
        schema = TABLES[name]
        parts = [_read(self._part_file(name, part), schema) for part in self._parts()]
        return pa.concat_tables([schema.empty_table(), *parts]).to_pandas()

    @contextmanager
    def new_checkpoint(self) -> Iterator[Path]:
        """A fresh folder to save into; on success it replaces the current checkpoint at once.

        When the body raises, the current checkpoint stays as it was.
        """
        home = self.path / "checkpoint"
        home.mkdir(exist_ok=True)
        numbers = [int(folder.name) for folder in home.iterdir() if folder.name.isdigit()]
        target = home / f"{max(numbers, default=0) + 1:06d}"
        unfinished = target.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        try:
            yield unfinished
            for file in [*unfinished.rglob("*"), unfinished]:
                flush(file)
            unfinished.rename(target)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        flush(home)
        write_text_atomically(home / _CURRENT, target.name)
        for folder in home.iterdir():
            if folder.is_dir() and folder != target:
                shutil.rmtree(folder)

    def checkpoint(self) -> Path | None:
        """The current checkpoint's folder; None before the first."""
        pointer = self.path / "checkpoint" / _CURRENT
        if not pointer.exists():
            return None
        name = pointer.read_text(encoding="utf-8").strip()
        folder = pointer.with_name(name)
        if not name.isdigit() or not folder.is_dir():
            raise RunDirectoryError(
                f"{pointer} names the checkpoint {name!r}, which is not there. Restore "
                f"{pointer.parent} from a copy, or start a run with another --out."
            )
        return folder

    def _refuse_content(self) -> None:
        occupied = self.path.exists() and not self.path.is_dir()
        if occupied or (self.path.is_dir() and any(p.name != _LOCK for p in self.path.iterdir())):
            raise RunDirectoryError(
                f"{self.path} already exists and nothing in it is overwritten. Give another --out, "
                f"or go on with an interrupted run there: `cl-bench run --resume {self.path}`."
            )

    def _check_version(self) -> None:
        manifest = self.manifest
        version = manifest.get("schema_version")
        if version != SCHEMA_VERSION:
            written = (manifest.get("provenance") or {}).get("cl_bench", "another version")
            raise RunDirectoryError(
                f"{self.path} has tables of schema version {version!r}; this cl-bench reads "
                f"version {SCHEMA_VERSION}. Read it with the cl-bench that wrote it ({written})."
            )

    def _folder(self, table: str) -> Path:
        return self.path / "tables" / table

    def _part_file(self, table: str, part: int) -> Path:
        return self._folder(table) / f"{part:06d}.parquet"

    def _parts(self) -> range:
        """Numbers of the whole commits: 0, 1, …"""
        files = self._folder(_LAST_TABLE).glob(_PART_FILES)
        return range(max((int(file.stem) + 1 for file in files), default=0))


def _take_lock(file: TextIO, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        owner = file.read().strip() or "unknown, it is just starting"
        raise RunDirectoryError(
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


def _read(file: Path, schema: pa.Schema) -> pa.Table:
    try:
        content = parquet.ParquetFile(file).read()
    except (OSError, pa.ArrowException) as error:
        raise RunDirectoryError(
            f"Cannot read the table file {file}: {error}. Restore it from a copy; when the run is "
            f"unfinished, `cl-bench run --resume {file.parents[2]}` writes parts after its "
            "checkpoint again."
        ) from error
    if not content.schema.equals(schema):
        raise RunDirectoryError(
            f"{file} does not have the columns of schema version {SCHEMA_VERSION}: it holds "
            f"{', '.join(content.schema.names)}. It was changed or belongs to another run."
        )
    return content.cast(schema)
