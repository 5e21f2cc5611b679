"""Uploads a run while it is made: a process of its own, which looks at the run's folder.

Every second it takes a snapshot (links) of what is new and whole, and uploads that in an order in
which the store holds, whenever it is cut off, a run that can be read and resumed:

    records of parts that are gone or others now are deleted, the last first
    tables, models, calls to a reflection LM      before the records of their parts
    commits/, by number                           before the checkpoint that builds on them
    checkpoint/<n>/…                              before checkpoint/current
    manifest.json                                 after all it speaks of
    what the run has deleted is deleted

A process of its own, because the libraries draw from Python's generator when they wait between
attempts, and so would change a run's numbers. It ends with the run's process, however that ends.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath
from threading import Event, Lock, Thread
from typing import Any

from cl_bench.contract.errors import LockedError, StorageError
from cl_bench.contract.redaction import short_line
from cl_bench.store.files import UNFINISHED, write_json_atomically
from cl_bench.store.remote import WRITER, RemoteFolder

Stamp = list[int]
"""What changes when a file is replaced: its size, time and number."""
RENEWAL = 20
"""Seconds between a writer's signs of life in the store."""
_LOOK = 1.0
"""Seconds between two looks at the folder."""
_LONGEST_WAIT = 60.0
_POINTER, _MANIFEST = "checkpoint/current", "manifest.json"
_ORDER = ("tables", "models", "commits", "checkpoint", "figures", "summary.txt")
_DROPPED = ("tables", "commits", "checkpoint", "models")
"""Folders in which a run deletes files."""


class Writer:
    """Who writes the run at a URL: `writer.json` there, renewed while it does."""

    def __init__(self, remote: RemoteFolder, identity: str, pid: int) -> None:
        self.remote, self.identity, self._pid = remote, identity, pid
        self._lock = Lock()

    def sign(self, *, ended: bool = False) -> None:
        """Say in the store that this process is at work, or no longer is."""
        said = {"id": self.identity, "host": platform.node(), "pid": self._pid}
        content = json.dumps({**said, "time": time.time(), "ended": ended})
        self.remote.write(WRITER, content.encode())

    def renew(self, *, ended: bool = False) -> None:
        """As `sign`; a `LockedError` if another process has taken the run over."""
        with self._lock:
            self.require_ours()
            self.sign(ended=ended)

    def require_ours(self) -> None:
        """Raise `LockedError` if another process has taken the run over."""
        found = self.remote.read_json(WRITER)
        if found.get("id", self.identity) != self.identity:
            raise LockedError(
                f"{self.remote.url} was taken over by another process ({found.get('host')}, pid "
                f"{found.get('pid')}), so this one ends."
            )


class Mirror:
    """Keeps the files below the URL of a writer like those of a run's folder.

    `known` has the stamps of files that are there already. `patient` is called with what failed,
    and returns to have it tried again, or raises.
    """

    def __init__(
        self,
        folder: Path,
        writer: Writer,
        staging: Path,
        known: Mapping[str, Stamp],
        patient: Callable[[StorageError], None],
    ) -> None:
        self._folder, self._writer, self._staging = folder, writer, staging
        self._remote, self._patient = writer.remote, patient
        self.known = dict(known)
        self._there: set[str] | None = None

    def sync(self) -> bool:
        """Upload what is new, and delete what is gone; tell whether there was anything.

        Raises `LockedError` if another process has taken the run over.
        """
        if self._there is None:
            self._there = set(self.again(self._remote.files)) - {WRITER}
            self.known = {name: of for name, of in self.known.items() if name in self._there}
        try:
            found = self._snapshot()
            return found is not None and self._upload(found, self._there)
        finally:
            shutil.rmtree(self._staging, ignore_errors=True)

    def _upload(self, found: Mapping[str, Stamp], there: set[str]) -> bool:
        changed = sorted((n for n, of in found.items() if self.known.get(n) != of), key=_place)
        gone = [n for n in there - found.keys() if PurePosixPath(n).parts[0] in _DROPPED]
        stale = [n for n in there if n.startswith("commits/") and (n in changed or n in gone)]
        puts = {name: self._staging / name for name in changed}
        if not (changed or gone):
            return False
        if self._change(lambda: self._remote.apply(puts, gone)):
            there.difference_update(gone)
            there.update(puts)
            self.known.update({name: found[name] for name in changed})
            return True
        for name in sorted(stale, reverse=True):
            self._remove(name, there)
        for name, file in puts.items():
            self._change(partial(self._remote.put, file, name))
            there.add(name)
            self.known[name] = found[name]
        for name in gone:
            self._remove(name, there)
        return True

    def _remove(self, name: str, there: set[str]) -> None:
        self._change(partial(self._remote.remove, name))
        there.discard(name)
        self.known.pop(name, None)

    def _snapshot(self) -> dict[str, Stamp] | None:
        """Link what is new into the staging folder, and return the stamps of all whole files; None
        while there is no run.

        The manifest and the pointer to the checkpoint come first, so that what they speak of is
        there when the rest is looked at.
        """
        while True:
            shutil.rmtree(self._staging, ignore_errors=True)
            try:
                found: dict[str, Stamp] = {}
                for name in whole_files(self._folder):
                    found[name] = self._stage(name)
                pointer = self._folder / _POINTER
                if _POINTER in found and stamp_of(pointer) != found[_POINTER]:
                    continue
            except FileNotFoundError:  # the run has replaced it meanwhile
                continue
            return found if _MANIFEST in found else None

    def _stage(self, name: str) -> Stamp:
        file, link = self._folder / name, self._staging / name
        stamp = stamp_of(file)
        if self.known.get(name) != stamp:
            link.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(file, link)
            except FileNotFoundError:
                raise
            except OSError:  # a file system without links
                shutil.copy2(file, link)
                return stamp
            return stamp_of(link)
        return stamp

    def _change(self, operation: Callable[[], Any]) -> Any:
        """Do it until it is done, if the run is still this writer's: while a connection was lost
        for long, another may have taken it over."""

        def ours() -> Any:
            self._writer.require_ours()
            return operation()

        return self.again(ours)

    def again(self, operation: Callable[[], Any]) -> Any:
        """Do it until it is done."""
        while True:
            try:
                return operation()
            except StorageError as error:
                self._patient(error)


def whole_files(folder: Path) -> Iterator[str]:
    """The whole files of a run's folder that belong into a store, the pointers first."""
    current = None
    for name in (_MANIFEST, _POINTER):
        if (folder / name).exists():
            yield name
    with suppress(FileNotFoundError):
        current = (folder / _POINTER).read_text(encoding="utf-8").strip()
    for file in folder.rglob("*"):
        parts = file.relative_to(folder).parts
        if parts[0] == "checkpoint" and parts[1:2] != (current,):
            continue
        unfinished = any(part.endswith(UNFINISHED) for part in parts) or file.suffix == ".tmp"
        if file.is_file() and not file.is_symlink() and not unfinished:
            name = "/".join(parts)
            if name not in ("lock", _MANIFEST, _POINTER):
                yield name


def stamp_of(file: Path) -> Stamp:
    found = file.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ino]


def _place(name: str) -> tuple[int, bool, str]:
    """The place of a file in the order of uploads."""
    if name in (_POINTER, _MANIFEST):
        return len(_ORDER) + (name == _MANIFEST), False, name
    top = name.partition("/")[0]
    # Without its configuration a model is not loaded.
    last = top == "models" and name.endswith("/config.json")
    return (_ORDER.index(top) if top in _ORDER else 1), last, name


class Uploader:
    """The process: mirrors a run until it is told how the run ended, and tells what happens."""

    def __init__(self, setup: Mapping[str, Any], tell: Callable[[Mapping[str, Any]], None]) -> None:
        self._tell, self._note = tell, Path(setup["note"])
        self._folder, self._url = Path(setup["folder"]), setup["url"]
        self._noted = json.loads(self._note.read_text(encoding="utf-8"))
        remote = RemoteFolder(self._url)
        self._writer = Writer(remote, setup["id"], setup["pid"])
        staging = self._note.with_suffix(".staging")
        known = self._noted["known"]
        self._mirror = Mirror(self._folder, self._writer, staging, known, self._patient)
        self._renews = remote.scheme != "hf"  # there each would be a commit
        self._ended, self._until = Event(), float("inf")
        self._failures = 0
        self._taken: LockedError | None = None

    def end(self, seconds: float | None) -> None:
        """The run ended: upload what is left, for so many seconds at most."""
        if seconds is not None:
            self._until = time.monotonic() + seconds
        self._ended.set()

    def run(self) -> None:
        """Mirror until all is uploaded after the end."""
        if self._renews:
            Thread(target=self._renew, daemon=True).start()
        while True:
            ended = self._ended.is_set()
            if self._taken is not None:
                raise self._taken
            if self._mirror.sync():
                self._keep()
            if self._failures:
                self._failures = 0
                self._tell({"said": f"{self._url}: connected again, all is uploaded."})
            if ended:
                break
            self._ended.wait(_LOOK)
        if (self._folder / _MANIFEST).exists():
            self._mirror.again(lambda: self._writer.renew(ended=True))
        else:
            self._mirror.again(lambda: self._writer.remote.remove(WRITER))
        self._tell({"uploaded": True})

    def _patient(self, error: StorageError) -> None:
        """Wait before another attempt; raise when the run has ended and waiting does not help."""
        ended = self._ended.is_set()
        if ended and (error.lasting or time.monotonic() >= self._until):
            raise error
        if not self._failures:
            self._keep()
            self._tell(
                {"said": f"{error} The run goes on; what it writes is uploaded when that works."}
            )
        self._failures += 1
        wait = min(2.0 ** min(self._failures - 1, 10), _LONGEST_WAIT)
        if ended:
            time.sleep(min(wait, max(0.0, self._until - time.monotonic())))
        else:
            self._ended.wait(wait)

    def _keep(self) -> None:
        write_json_atomically(self._note, {**self._noted, "known": self._mirror.known})

    def _renew(self) -> None:
        while not self._ended.wait(RENEWAL):
            try:
                self._writer.renew()
            except LockedError as error:
                self._taken = error
            except StorageError:
                pass  # the next upload tells it


def main() -> None:
    """Take the setup from stdin, a line of JSON, and then how the run ended; tell on stdout."""
    lines = iter(sys.stdin.readline, "")

    def tell(message: Mapping[str, Any]) -> None:
        print(json.dumps(message), flush=True)

    def listen() -> None:
        for line in lines:
            uploader.end(json.loads(line)["seconds"])
        os._exit(0)  # the run's process is gone

    # Batch systems send these to all processes of a job; this one ends after the run's.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    try:
        uploader = Uploader(json.loads(next(lines)), tell)
        Thread(target=listen, daemon=True).start()
        uploader.run()
    except LockedError as error:
        tell({"taken": str(error)})
    except Exception as error:  # noqa: BLE001 - the run's process tells it
        tell({"failed": short_line(f"{type(error).__name__}: {error}")})
