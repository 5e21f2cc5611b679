"""Files written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cl_bench.errors import RunDirectoryError


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


def write_text_atomically(path: Path, text: str) -> None:
    """Write `text` as UTF-8, replacing the file as a whole."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json_atomically(path: Path, value: object) -> None:
    """Write `value` as indented JSON, replacing the file as a whole.

    NaN and infinity are no JSON: they raise ValueError, other unknown values TypeError, and the
    file stays as it was.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_text_atomically(path, text + "\n")


def read_json(path: Path) -> Any:
    """The value in a JSON file; a missing or damaged one is a `RunDirectoryError` with its name."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunDirectoryError(f"Cannot read {path}: {error.strerror}.") from error
    except ValueError as error:
        raise RunDirectoryError(
            f"{path} is damaged: it is not whole JSON ({error}). Files of a run are written whole, "
            "so something else changed it; restore it from a copy or start a run in another --out."
        ) from error


def flush(path: Path) -> None:
    """Make the operating system put a file's content, or a folder's list of names, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
