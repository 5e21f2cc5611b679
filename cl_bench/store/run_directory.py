"""The run directory: one run's manifest, tables and checkpoint, owned by one process.

    manifest.json                        configuration, provenance, status
    tables/<table>/<part>.parquet        raw rows, append-only (see cl_bench.store.schema)
    commits/<part>.json                  SHA-256 of each file of that part (cl_bench.store.parts)
    checkpoint/                          the learner's state (see cl_bench.store.checkpoint)
    models/stage-<n>/                    the policy at stage n's end, if the run keeps it
    figures/  summary.txt                made from the tables; can be made again
    tracking/                            of trackers: notes, logs, event files (docs/trackers.md)
    writer.json                          at a URL: who writes it (cl_bench.store.mirror)
    lock                                 held by the writing process, with its number

Every file is written whole or not at all. Readers ignore what an interrupted commit left, and
refuse a table file that is not the one committed. A run of another schema version is not read.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from cl_bench.contract.errors import LockedError, OtherSoftwareError, RunDirectoryError
from cl_bench.contract.text import config_hash, printable
from cl_bench.store.checkpoint import Checkpoints
from cl_bench.store.files import (
    UNFINISHED,
    read_json,
    replacing_folder,
    write_json_atomically,
    writing,
)
from cl_bench.store.parts import Parts
from cl_bench.store.rows import Row
from cl_bench.store.schema import SCHEMA_VERSION, TABLES

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_MANIFEST, _LOCK, _MODELS = "manifest.json", "lock", "models"
_DESCRIBED = ("stream", "config")


class RunDirectory:
    """One run on disk. Made by `create`, read by `open`; write only inside `locked()`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = Checkpoints(path / "checkpoint")
        self._reader: Parts | None = None

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
                f"{path} holds no {_MANIFEST}: it is not a run directory, or the run ended before "
                "it began. Name another directory, or start anew with another --out."
            )
        directory = cls(path)
        require_version(directory.manifest, path)
        require_unedited(directory.manifest, path / _MANIFEST)
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
        # Where there are no locks, filelock would otherwise go by whether the file exists.
        file = self.path / _LOCK
        lock = FileLock(file, timeout=0, fallback_to_soft=False, on_acquired=_sign)
        try:
            lock.acquire()
        except Timeout:
            owner = file.read_text().strip() or "unknown, it is just starting"
            raise LockedError(
                f"{self.path} is being written by another process (pid {owner}). Wait for it or "
                "stop it, or give another --out."
            ) from None
        except OSError as error:
            raise RunDirectoryError(
                f"{self.path} cannot be locked: {error.strerror}. Give an --out on a file system "
                "with locks."
            ) from error
        try:
            yield
        finally:
            lock.release()

    def commit(self, part: int, rows: Mapping[str, Sequence[Row]]) -> None:
        """Write `rows` as part number `part` of every table; tables not named get no rows.

        Rows that do not fit the schema, and a part that exists or does not follow on the last one,
        are a `RunDirectoryError`; nothing is written then.
        """
        Parts(self.path).add(part, rows)

    def discard_after(self, part: int) -> None:
        """Delete all parts with a higher number than `part`; -1 deletes every row."""
        Parts(self.path).discard_after(part)

    def verify(self, part: int) -> None:
        """Raise `RunDirectoryError` unless all rows up to that part are as they were committed."""
        parts = Parts(self.path)
        for number, table in product(range(part + 1), TABLES):
            parts.read(table, number)

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
        """All rows of a table in the order they were written; columns as in cl_bench.store.schema.

        A table without rows is a frame with columns and types. A file that is missing, or is not
        the one that was committed, is a `RunDirectoryError` with its name.
        """
        return Parts(self.path).table(name).to_pandas(use_threads=False)

    def select(
        self, name: str, columns: Sequence[str] | None = None, *, first: bool = False
    ) -> pa.Table:
        """As `table`, but an Arrow table of these columns only, in the schema's order; quicker.

        With `first` only the rows of the first part, which holds the whole first evaluation.
        """
        if self._reader is None:
            self._reader = Parts(self.path)
        return self._reader.table(name, columns, first=first)

    def _refuse_content(self) -> None:
        occupied = self.path.exists() and not self.path.is_dir()
        if occupied or (self.path.is_dir() and not all(map(_is_leftover, self.path.iterdir()))):
            raise RunDirectoryError(
                f"{self.path} already exists and nothing in it is overwritten. Give another --out, "
                f"or go on with an interrupted run there: `cl-bench run --resume {self.path}`."
            )


def require_version(manifest: Mapping[str, Any], path: Path) -> None:
    """Raise `OtherSoftwareError` unless the run in `path` has tables of this schema version."""
    version = manifest.get("schema_version")
    if type(version) is int and version == SCHEMA_VERSION:  # True is not a version
        return
    found = manifest.get("provenance")
    found = found if isinstance(found, dict) else {}
    commit = f", commit {str(found['git_commit'])[:10]}" if found.get("git_commit") else ""
    writer = printable(f"{found.get('cl_bench', 'another version')}{commit}", 100)
    raise OtherSoftwareError(
        f"{path} has tables of schema version {printable(repr(version), 40)}; this cl-bench reads "
        f"and writes version {SCHEMA_VERSION}. Use the cl-bench that wrote it ({writer}), or start "
        "a run with another --out."
    )


def require_unedited(manifest: Mapping[str, Any], file: Path) -> None:
    """Raise `RunDirectoryError` if stream or configuration are not those the run began with.

    `file` is where the manifest was read.
    """
    described = {key: value for key, value in manifest.items() if key in _DESCRIBED}
    if "config_hash" in manifest and config_hash(described) != manifest["config_hash"]:
        raise RunDirectoryError(
            f"{file} was edited: its stream and configuration are not those the run began with "
            "(config_hash differs). Restore it from a copy, or start a run with another --out."
        )


def _sign(lock: int) -> None:
    """Write this process's number into the open lock file."""
    with suppress(OSError):  # it is for people; a full disk may refuse it
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)


def _is_leftover(path: Path) -> bool:
    """Tell whether it is left of a process that was killed before it had written a manifest."""
    return path.name == _LOCK or (path.name.startswith(f".{_MANIFEST}.") and path.suffix == ".tmp")


def stage_models(run: Path) -> dict[int, Path]:
    """Return, by the number of a stage (from 1) and in order, the folder of the model at its end.

    `run` is the run's directory, which need not exist. Folders that a killed process left while it
    wrote or replaced a model are left out.
    """
    folders = (run / "models").glob("stage-*")
    numbered = {re.fullmatch(r"stage-([0-9]+)", folder.name): folder for folder in folders}
    return dict(sorted((int(found[1]), folder) for found, folder in numbered.items() if found))
