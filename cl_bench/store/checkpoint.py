"""Checkpoints of one run: the current one, and a new one that replaces it as a whole.

    checkpoint/<number>/    what was saved, and files.json with the SHA-256 of every file
    checkpoint/current      the number of the valid one

A folder becomes the current checkpoint only after all its files are on the disk.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cl_bench.contract.errors import RunDirectoryError
from cl_bench.store.files import (
    file_hash,
    read_json,
    replacing_folder,
    write_json_atomically,
    write_text_atomically,
    writing,
)

_CURRENT, _HASHES = "current", "files.json"


class Checkpoints:
    """The checkpoints in the folder `home`, which need not exist yet."""

    def __init__(self, home: Path) -> None:
        self._home = home

    @contextmanager
    def new(self) -> Iterator[Path]:
        """A fresh folder to save into; on success it replaces the current checkpoint at once.

        When the body raises, the current checkpoint stays as it was. A full disk, in the body too,
        is a `RunDirectoryError`.
        """
        with writing(self._home.parent):
            self._home.mkdir(exist_ok=True)
            numbers = [int(path.name) for path in self._home.iterdir() if path.name.isdigit()]
            target = self._home / f"{max(numbers, default=0) + 1:06d}"
            with replacing_folder(target) as unfinished:
                yield unfinished
                saved = sorted(file for file in unfinished.rglob("*") if file.is_file())
                hashes = {str(file.relative_to(unfinished)): file_hash(file) for file in saved}
                write_json_atomically(unfinished / _HASHES, hashes)
            write_text_atomically(self._home / _CURRENT, target.name)
            self._remove_others(target)

    def current(self) -> Path | None:
        """The current checkpoint's folder; None before the first.

        One whose files are not those that were saved is a `RunDirectoryError` naming the file.
        """
        pointer = self._home / _CURRENT
        if not pointer.exists():
            return None
        name = pointer.read_text(encoding="utf-8").strip()
        folder = pointer.with_name(name)
        if not name.isdigit() or not folder.is_dir():
            raise RunDirectoryError(
                f"{pointer} names the checkpoint {name!r}, which is not there. Restore "
                f"{self._home} from a copy, or start a run with another --out."
            )
        hashes = read_json(folder / _HASHES)
        if not isinstance(hashes, dict):
            raise RunDirectoryError(
                f"{folder / _HASHES} is damaged: it names no files. Restore it from a copy."
            )
        for file, saved in hashes.items():
            found = folder / file
            if not found.is_file() or file_hash(found) != saved:
                state = "is not what was saved" if found.is_file() else "is missing"
                raise RunDirectoryError(
                    f"The checkpoint file {found} {state} (its SHA-256 was {str(saved)[:12]}…). "
                    "Restore it from a copy, or start a run with another --out."
                )
        return folder

    def sweep(self) -> None:
        """Delete everything but the current checkpoint."""
        current = self.current()
        if current is not None:
            self._remove_others(current)

    def _remove_others(self, kept: Path) -> None:
        for folder in self._home.iterdir():
            if folder.is_dir() and folder != kept:
                shutil.rmtree(folder)
