"""A tracker's process as the run sees it: `send` never waits and never raises."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from queue import Full, Queue
from threading import Thread
from time import monotonic
from typing import IO, Any

from cl_bench.trackers import TrackedRun
from cl_bench.trackers.values import Update

_MAIN = (
    "import json, sys; sys.path[:] = json.loads(sys.stdin.readline()); "
    "from cl_bench.trackers.worker import main; main()"
)
_WAITING = 20_000
"""Updates that may wait for a slow tracker before it is given up."""


class TrackerProcess:
    """One tracker. After `failure` is set nothing is sent any more."""

    def __init__(self, name: str, run: TrackedRun, folder: Path) -> None:
        """Start it; `folder` keeps its note, `<name>.json`, and its log. Raises OSError."""
        self.name, self.log = name, folder / f"{name}.log"
        self.where = self.failure = ""
        self._queue: Queue[str | None] = Queue(_WAITING)
        folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _MAIN],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
                start_new_session=True,  # Ctrl-C is for the run, which then says how it ended
            )
        setup = {"tracker": name, "run": asdict(run), "note": str(folder / f"{name}.json")}
        self._put(sys.path)
        self._put(setup)
        self._threads = [
            Thread(target=self._write, args=(self._process.stdin,), daemon=True),
            Thread(target=self._read, args=(self._process.stdout,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def send(self, update: Update) -> None:
        """Hand an update over."""
        if not self.failure:
            self._put(asdict(update))

    def end(self, status: str) -> None:
        """Say how the run ended; no updates follow."""
        if not self.failure:
            self._put({"status": status})
        with suppress(Full):
            self._queue.put_nowait(None)

    def wait(self, until: float) -> None:
        """Wait until all is sent, or for that monotonic time, and let the process go."""
        try:
            self._process.wait(max(0.0, until - monotonic()))
        except subprocess.TimeoutExpired:
            self._fail("not all was sent in time")
        finally:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join(1)

    def _put(self, message: Any) -> None:
        try:
            self._queue.put_nowait(json.dumps(message))
        except Full:
            self._fail(f"it does not keep up: {_WAITING} updates are waiting")
            self._process.kill()

    def _fail(self, reason: str) -> None:
        self.failure = self.failure or reason

    def _write(self, pipe: IO[str]) -> None:
        with suppress(OSError, ValueError), pipe:
            while (line := self._queue.get()) is not None:
                pipe.write(line + "\n")
                pipe.flush()

    def _read(self, pipe: IO[str]) -> None:
        with suppress(ValueError), pipe:
            for line in pipe:
                message = json.loads(line)
                self.where = message.get("where", self.where)
                if "failed" in message:
                    self._fail(message["failed"])
        if self._process.wait():
            self._fail(f"its process ended ({self._process.returncode})")
