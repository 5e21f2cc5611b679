"""Files written whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cl_bench.contract.errors import POSIX, RunDirectoryError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def writing(home: Path, *, run: bool = True) -> Iterator[None]:
    """Turn what the operating system refuses inside into a `RunDirectoryError`.

    `home` is the run directory, or a folder that is no `run`. A full disk, an exhausted quota and a
    limit on the size of files say how to go on; whatever is not an error of the operating system
    passes unchanged.
    """
    try:
        yield
    except Exception as error:
        # safetensors has the number of the system's error in its message only
        told = re.search(r"os error (\d+)", str(error))
        number = error.errno if isinstance(error, OSError) else told and int(told[1])
        if number is None:
            raise
        advice = "Free some space" if number in _FULL else "Mend that"
        whole, again = "", "give the same command again"
        if run:
            whole = "What was recorded before is whole. "
            again = f"go on with `cl-bench run --resume {home}`"
        raise RunDirectoryError(
            f"Cannot write to {home}: {os.strerror(number)}. {whole}{advice}, then {again}."
        ) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name in the folder of `path`; what is written there becomes `path` on success.

    The file is flushed to the disk before it is renamed, so that a reader, or a machine that loses
    power, finds the old content or the new. When the body raises, `path` stays as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        flush(temporary)
        temporary.replace(path)
        flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


UNFINISHED = ".unfinished"
"""Ends the names of folders that are being written or dropped."""


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A fresh folder beside `path`; on success it becomes `path`, with all its files on the disk.

    When the body raises, `path` stays as it was. A process that is killed leaves folders whose
    names end in `UNFINISHED`, and may leave no `path`, but never one that is not whole.
    """
    unfinished, old = (path.with_name(f"{path.name}{x}{UNFINISHED}") for x in ("", ".old"))
    for folder in (unfinished, old):
        shutil.rmtree(folder, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        for file in [*unfinished.rglob("*"), unfinished]:
            flush(file)
        if path.exists():
            path.rename(old)
        unfinished.rename(path)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    flush(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def write_text_atomically(path: Path, text: str) -> None:
    """Write `text` as UTF-8, replacing the file as a whole."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json_atomically(path: Path, value: object) -> None:
    """Write `value` as indented JSON, replacing the file as a whole.

    NaN and infinity are not JSON: they raise ValueError, other unknown values TypeError, and the
    file stays as it was. Lone surrogates (of a file name that is not UTF-8) are written as escapes.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2, allow_nan=False)
    write_text_atomically(path, text + "\n")


def read_json(path: Path) -> Any:
    """The value in a JSON file; a missing or damaged one is a `RunDirectoryError` with its name."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunDirectoryError(
            f"Cannot read {path}: {error.strerror}. Restore it from a copy."
        ) from error
    except ValueError as error:
        raise RunDirectoryError(
            f"{path} is damaged: it is not whole JSON ({error}). Files of a run are written whole, "
            "so something else changed it; restore it from a copy or start a run in another --out."
        ) from error


def cache_folder() -> Path:
    """Return $CL_BENCH_CACHE, else cl-bench in $XDG_CACHE_HOME, else in ~/.cache."""
    own = os.environ.get("CL_BENCH_CACHE")
    if own:
        return Path(own).expanduser().absolute()
    shared = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return (shared if shared.is_absolute() else Path("~/.cache").expanduser()) / "cl-bench"


def file_hash(path: Path) -> str:
    """SHA-256 (hex) of a file's content."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def flush(path: Path) -> None:
    """Make the operating system put a file's content, or a folder's list of names, on the disk.

    Windows does that for files that are open to be written only, and there nothing is done.
    """
    if not POSIX:
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
