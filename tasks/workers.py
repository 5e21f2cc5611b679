"""Processes of their own, for work that may never end, may end the process, or must see nothing.

A worker is a module that says `{"id": 0}` when it is ready, and then answers each line of JSON on
standard input, a question with its `id`, with one on standard output that has the same `id`. It is
killed when an answer takes too long, and the next question starts another. A signal in this process
would not do: it reaches the main thread alone, and waits while compiled code runs.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

from cl_bench.contract.errors import ClBenchError, require_posix

_START_SECONDS = 300.0
"""Until a process has to be ready, which imports what it needs first."""


class DeadError(Exception):
    """The process died of a question, or did not answer it in time."""


class StartError(ClBenchError):
    """The process does not start, so that no question can be answered."""


class Worker:
    """Asks a process of its own, one question at a time, from any thread."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._command = [sys.executable, "-P", "-m", module, *arguments]
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = self._asked = 0
        self._read = b""
        self._parents: list[subprocess.Popen[bytes]] = []
        atexit.register(self.close)

    def ask(self, question: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """The process's answer; `DeadError` if it died of the question or was too slow.

        `StartError` if there is none that could be asked.
        """
        with self._lock:
            try:
                process = self._running()
                self._asked += 1
                line = json.dumps({"id": self._asked, **question}).encode() + b"\n"
                _pipe(process.stdin).write(line)
                return self._answer(process, self._asked, seconds)
            except OSError as error:
                self._stop()
                raise DeadError from error

    def ready(self) -> None:
        """Start the process if there is none, so that the first answer takes no seconds.

        `StartError` if it does not start.
        """
        with self._lock:
            self._running()

    def close(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            self._stop()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None:
            if self._owner == os.getpid():
                return self._process
            # After a fork the process is the parent's, and so are the pipes, but for their copies.
            self._parents.append(self._process)
            _close(self._process)
        require_posix()
        self._owner, self._asked, self._read = os.getpid(), 0, b""
        try:
            self._process = self._start()
            self._answer(self._process, 0, _START_SECONDS)
        except OSError as error:
            self._stop()
            raise StartError(
                f"A process that judges answers does not start: {error}. To see why, type: "
                f"python {shlex.join(self._command[1:])} < /dev/null"
            ) from error
        return self._process

    def _start(self) -> subprocess.Popen[bytes]:
        """The process without this one's environment, files, folder and terminal."""
        path = os.pathsep.join(str(Path(place).absolute()) for place in sys.path if place)
        # The folder is gone once the process is in it: whatever ends this one, none is left behind.
        with tempfile.TemporaryDirectory(prefix="cl-bench-worker-") as folder:
            return subprocess.Popen(
                self._command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=folder,
                # Always the same hashes, so that sets are in the same order in every run.
                env={"PYTHONPATH": path, "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"},
                start_new_session=True,
            )

    def _answer(
        self, process: subprocess.Popen[bytes], number: int, seconds: float
    ) -> dict[str, Any]:
        """The answer to that question. Earlier ones, which an interrupt left, are skipped."""
        until = time.monotonic() + seconds
        while True:
            while b"\n" in self._read:
                line, _, self._read = self._read.partition(b"\n")
                answer: dict[str, Any] = json.loads(line)
                if answer.get("died"):
                    raise DeadError
                if answer["id"] == number:
                    return answer
            left = max(0.0, until - time.monotonic())
            if not select.select([_pipe(process.stdout)], [], [], left)[0]:
                raise OSError("no answer in time")
            part = os.read(_pipe(process.stdout).fileno(), 65_536)
            if not part:
                raise OSError("the process is gone")
            self._read += part

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        with suppress(OSError):  # it may be gone
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        _close(process)


def _close(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        with suppress(OSError):
            _pipe(pipe).close()


def _pipe(pipe: Any) -> Any:
    return pipe
