"""An engine in the process of gym_worker, for data sets that are kept apart."""

from __future__ import annotations

import atexit
import json
import os
import select
import shutil
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

from cl_bench.contract.errors import ClBenchError

_DRAW_SECONDS = 300.0
"""Until an item has to be there; the process is imported and started in that time, too."""
_SCORE_SECONDS = 60.0
"""Until a score has to be there. The process itself stops an answer after half a second of
computing, and is slower only where the machine is busy."""


class DeadError(Exception):
    """The process died of a question, or did not answer it in time."""


class Fence:
    """Asks a process of its own, one question at a time, from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = self._asked = 0
        self._read = b""
        self._folder = ""
        self._parents: list[subprocess.Popen[bytes]] = []

    def ask(self, question: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """The process's answer; `DeadError` if it died of the question."""
        with self._lock:
            process = self._running()
            self._asked += 1
            line = json.dumps({"id": self._asked, **question}).encode() + b"\n"
            try:
                _pipe(process.stdin).write(line)
                return self._answer(process, self._asked, seconds)
            except OSError as error:
                self._stop()
                raise DeadError from error

    def ready(self) -> None:
        """Start the process if there is none, so that the first score takes no seconds."""
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
        self._folder = tempfile.mkdtemp(prefix="cl-bench-gym-")
        self._owner, self._asked, self._read = os.getpid(), 0, b""
        self._process = _start(self._folder)
        self._answer(self._process, 0, _DRAW_SECONDS)
        return self._process

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
            if not select.select([_pipe(process.stdout)], [], [], until - time.monotonic())[0]:
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
        shutil.rmtree(self._folder, ignore_errors=True)


FENCE = Fence()
atexit.register(FENCE.close)


class Apart:
    """An engine in the other process."""

    def __init__(self, data: str, setting: str, texts: Mapping[str, str]) -> None:
        self._base = {"data": data, "setting": setting, "texts": dict(texts)}
        FENCE.ready()

    def question(self, number: int) -> str:
        return self._drawn("question", number)

    def gold(self, number: int) -> str:
        return self._drawn("gold", number)

    def score(self, number: int, question: str, answer: str) -> float:
        asked = {"do": "score", "number": number, "question": question, "answer": answer}
        return float(FENCE.ask({**self._base, **asked}, _SCORE_SECONDS).get("found", 0.0))

    def _drawn(self, what: str, number: int) -> str:
        try:
            found = FENCE.ask({**self._base, "do": what, "number": number}, _DRAW_SECONDS)
        except DeadError as error:
            raise ClBenchError(
                f"The process that draws items of gym/{self._base['data']} ended unexpectedly; it "
                "may have had too little memory. Try again, or take another data set."
            ) from error
        if "error" in found:
            raise ValueError(found["error"])
        return str(found["found"])


def _start(folder: str) -> subprocess.Popen[bytes]:
    """The process without this one's environment, files, folder and terminal."""
    path = os.pathsep.join(str(Path(place).absolute()) for place in sys.path if place)
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "cl_bench.tasks.gym_worker"],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        # Always the same hashes, so that sets are in the same order in every run.
        env={"PYTHONPATH": path, "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


def _close(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        with suppress(OSError):
            _pipe(pipe).close()


def _pipe(pipe: Any) -> Any:
    return pipe
