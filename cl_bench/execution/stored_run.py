"""Where a run is made: in its directory, or in a folder of the cache that is uploaded to a URL."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Thread
from typing import IO, Any
from uuid import uuid4

from filelock import FileLock, Timeout

from cl_bench.contract.errors import (
    ClBenchError,
    LockedError,
    RunDirectoryError,
    StorageError,
)
from cl_bench.contract.redaction import say
from cl_bench.execution.progress import Both, Progress, Quiet
from cl_bench.model import ranks
from cl_bench.store.files import read_json, write_json_atomically, writing
from cl_bench.store.mirror import RENEWAL, Writer, stamp_of, whole_files
from cl_bench.store.remote import (
    WRITER,
    RemoteFolder,
    download,
    local_folder,
    note_file,
    with_urls,
    written_to,
)
from cl_bench.store.run_directory import RunDirectory

_MAIN = (
    "import json, sys; sys.path[:] = json.loads(sys.stdin.readline()); "
    "from cl_bench.store.mirror import main; main()"
)
SILENCE = 3 * RENEWAL
"""Seconds without a sign of life after which a writer elsewhere is taken for dead."""
_OLD = 600
"""Age in seconds of a sign of life that is not waited upon: clocks differ by less."""
_PATIENCE = 10
"""Seconds that an interrupted run waits for its uploads."""


@dataclass(frozen=True)
class StoredRun:
    """Where a run is made, and whom it tells of its progress."""

    path: Path
    progress: Progress
    unsent: bool = False
    """Whether this machine has something of the run that its URL may lack."""


@contextmanager
def stored_run(place: str | Path, progress: Progress, *, new: bool) -> Iterator[StoredRun]:
    """The folder in which the run at `place` is made, which for a URL is uploaded meanwhile.

    A new run needs a URL at which there is nothing; another is downloaded first, unless this
    machine was the last to write it. At the end all is uploaded, however long a lost connection
    takes; a process that is interrupted waits for seconds only, and says what is left. Of several
    ranks, rank 0 does that. Raises `StorageError` if the store refuses, `LockedError` if another
    process writes the run.
    """
    url = written_to(place)
    if url is None:
        yield StoredRun(Path(place), progress)
        return
    with ExitStack() as stack:
        entered: list[StoredRun] = []

        def enter() -> tuple[Path, bool]:
            entered.append(stack.enter_context(_stored(url, progress, new=new)))
            return entered[0].path, entered[0].unsent

        path, unsent = ranks.alone(enter)
        yield entered[0] if entered else StoredRun(path, Quiet(), unsent)


@contextmanager
def _stored(url: str, progress: Progress, *, new: bool) -> Iterator[StoredRun]:
    """As `stored_run`, in the one process that writes."""
    try:
        with _alone(url):
            remote = RemoteFolder(url)
            unsent = _is_here(remote)
            identity = (_begin if new else _go_on)(remote, unsent, progress)
            with _uploaded(url, identity, progress) as (path, told):
                yield StoredRun(path, told, unsent)
    except ClBenchError as error:
        error.args = (with_urls(str(error)), *error.args[1:])
        raise


def stored_manifest(place: str | Path) -> Mapping[str, Any]:
    """Return the manifest of the run at `place`, without fetching the run; empty if a URL has none.

    For a path that is no run it is a `RunDirectoryError`.
    """
    url = written_to(place)
    if url is None:
        return RunDirectory.open(Path(place)).manifest
    return RemoteFolder(url).read_json("manifest.json")


def working_folder(place: str | Path) -> Path:
    """Return the folder of this machine in which the run at `place` is made."""
    url = written_to(place)
    return Path(place) if url is None else local_folder(url, "written")


@contextmanager
def _alone(url: str) -> Iterator[None]:
    """Keep other processes of this machine from making the run at a URL."""
    lock = FileLock(note_file(url, ".lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise LockedError(
            f"{url} is being written by another process of this machine. Wait for it or stop it, "
            "or give another --out."
        ) from None
    try:
        yield
    finally:
        lock.release()


def _begin(remote: RemoteFolder, unsent: bool, progress: Progress) -> str:
    """Take an empty place for a new run and return the writer's identity."""
    url = remote.url
    if set(remote.files()) - {WRITER} or unsent:
        raise RunDirectoryError(
            f"{url} already exists and nothing in it is overwritten. Give another --out, or go on "
            f"with an interrupted run there: `cl-bench run --resume {url}`."
        )
    _wait_for_silence(remote, progress)
    return _take(remote, fresh=lambda folder: None)


def _go_on(remote: RemoteFolder, unsent: bool, progress: Progress) -> str:
    """Take over the run at a URL, brought here if this machine was not the last to write it."""
    if unsent:
        return _take(remote, fresh=None)
    manifest = remote.read_json("manifest.json")
    if manifest.get("status") == "done" and remote.read("summary.txt") is not None:
        raise RunDirectoryError(f"The run in {remote.url} is done; there is nothing to resume.")
    _wait_for_silence(remote, progress)
    return _take(remote, fresh=partial(download, remote))


def _take(remote: RemoteFolder, fresh: Callable[[Path], None] | None) -> str:
    """Sign as the writer; `fresh` fills the folder, emptied before, or nothing is changed in it."""
    folder, file = local_folder(remote.url, "written"), note_file(remote.url, ".json")
    identity, ids = uuid4().hex, []
    if fresh is None:
        noted = read_json(file)
        ids, known = noted["ids"], noted["known"]
    else:
        file.unlink(missing_ok=True)
        with writing(folder):
            if folder.exists():
                shutil.rmtree(folder)
            fresh(folder)
        known = {name: stamp_of(folder / name) for name in whole_files(folder)}
    # Before the signature, so that whoever is cut off between them still knows the run for its own.
    with writing(file.parent):
        write_json_atomically(file, {"url": remote.url, "ids": [*ids, identity], "known": known})
    Writer(remote, identity, os.getpid()).sign()
    return identity


def _is_here(remote: RemoteFolder) -> bool:
    """Tell whether this machine was the last to write the run, so that its folder has all of it."""
    note = note_file(remote.url, ".json")
    if not (note.exists() and (local_folder(remote.url, "written") / "manifest.json").exists()):
        return False
    return remote.read_json(WRITER).get("id") in read_json(note)["ids"]


def _wait_for_silence(remote: RemoteFolder, progress: Progress) -> None:
    """Return when nobody else writes the run; raise `LockedError` on a sign of life."""
    found = remote.read_json(WRITER)
    if not found or found.get("ended") or _is_dead(found):
        return
    who = f"{found.get('host')} (pid {found.get('pid')})"
    if remote.scheme == "hf":
        progress.note(f"{remote.url} was last written by {who}, which stops if it still runs.")
        return
    if abs(time.time() - float(found.get("time", 0))) > _OLD:
        return
    progress.note(
        f"{remote.url} was just written by {who}: waiting {SILENCE} seconds for another sign of it."
    )
    until = time.monotonic() + SILENCE
    while time.monotonic() < until:
        time.sleep(min(5.0, SILENCE))
        if remote.read_json(WRITER) not in (found, {}):
            raise LockedError(
                f"{remote.url} is being written by {who}. Wait for it or stop it, or give another "
                "--out."
            )


def _is_dead(writer: Mapping[str, Any]) -> bool:
    """Tell whether a writer was a process of this machine that is gone."""
    pid = writer.get("pid")
    if writer.get("host") != platform.node() or not isinstance(pid, int) or pid < 1:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return pid == os.getpid()  # another process had that number before


@contextmanager
def _uploaded(url: str, identity: str, progress: Progress) -> Iterator[tuple[Path, Progress]]:
    """The folder of a run while a process uploads it; removed once a finished run is uploaded."""
    folder = local_folder(url, "written")
    process = _UploaderProcess(url, identity, folder, progress)
    try:
        yield folder, Both(progress, process)
    except KeyboardInterrupt:
        process.end(_PATIENCE)
        raise
    except BaseException:
        process.end()
        raise
    process.end()
    process.require_uploaded()
    shutil.rmtree(folder, ignore_errors=True)
    note_file(url, ".json").unlink(missing_ok=True)


class _UploaderProcess(Quiet):
    """The process of `cl_bench.store.mirror`, as the run sees it."""

    def __init__(self, url: str, identity: str, folder: Path, progress: Progress) -> None:
        self._url, self._identity = url, identity
        self._folder, self._told = folder, progress
        self._begin()

    def _begin(self) -> None:
        self._outcome: dict[str, Any] = {}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _MAIN],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C is for the run, which then says how it ended
        )
        note = note_file(self._url, ".json")
        setup = {"url": self._url, "folder": str(self._folder), "note": str(note)}
        self._send(sys.path)
        self._send({**setup, "id": self._identity, "pid": os.getpid()})
        assert self._process.stdout is not None
        self._thread = Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._thread.start()

    def recorded(self, tables: Mapping[str, Sequence[Any]]) -> None:
        """End the run if another process has taken it over; begin again if the uploads have ended,
        as of a full disk, or for want of memory."""
        self._require_ours()
        if "failed" in self._outcome:
            self._told.note(
                f"Uploading to {self._url} ended ({self._outcome['failed']}). It begins again."
            )
            self._release()
            self._begin()

    def _require_ours(self) -> None:
        if "taken" in self._outcome:
            raise LockedError(self._outcome["taken"])

    def end(self, seconds: float | None = None) -> None:
        """Wait until all is uploaded, or so many seconds; say what is left."""
        self._send({"seconds": seconds})
        try:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(1 if seconds is None else seconds + 1)
            if seconds is None and self._process.poll() is None:
                say(f"uploading what is left to {self._url}")
                self._process.wait()
        finally:
            self._release()
            if "uploaded" not in self._outcome and (self._folder / "manifest.json").exists():
                say(self._left())

    def _release(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
        self._thread.join(5)

    def require_uploaded(self) -> None:
        """Raise `StorageError` unless everything has been uploaded."""
        self._require_ours()
        if "uploaded" not in self._outcome:
            raise StorageError(f"The run is done, but not all of it is at {self._url} (see above).")

    def _left(self) -> str:
        """Say where lies what is not uploaded, and how it comes to its place."""
        if "taken" in self._outcome:
            return f"{self._outcome['taken']} What it made since then is in {self._folder}."
        why = f" ({self._outcome['failed']})" if "failed" in self._outcome else ""
        return (
            f"not all of the run is at {self._url}{why}. The rest is in {self._folder}, and "
            f"`cl-bench run --resume {self._url}` on this machine goes on and uploads it."
        )

    def _send(self, message: object) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        with suppress(OSError):  # the process is gone, which `_read` tells
            pipe.write(json.dumps(message) + "\n")
            pipe.flush()

    def _read(self, pipe: IO[str]) -> None:
        with suppress(ValueError), pipe:
            for line in pipe:
                message = json.loads(line)
                if "said" in message:
                    self._told.note(message["said"])
                else:
                    self._outcome.update(message)
        if not self._outcome:
            self._outcome["failed"] = "its process ended"
