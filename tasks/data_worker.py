"""A process of its own for work that may never end: patterns, and comparing formulas.

`python -m cl_bench.tasks.data_worker` answers each line of JSON on standard input with one on
standard output. It is killed when an answer takes too long, and the next question starts another.
A signal would not do: it reaches the main thread alone, and waits while compiled code runs.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from queue import Empty, Queue
from threading import Lock, Thread
from typing import IO, Any

SECONDS = 3.0
"""For one answer, so generous that a busy machine does not change a score."""
_START_SECONDS = 120.0
"""For the first answer of a process, which imports what it needs."""
_MEMORY = 4 * 2**30


class Worker:
    """Asks a process of its own, one question at a time, from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: subprocess.Popen[str] | None = None
        self._owner = 0
        self._lines: Queue[str] = Queue()

    def ask(self, question: Mapping[str, str], seconds: float = SECONDS) -> dict[str, Any] | None:
        """The process's answer; None if it took too long or died of the question."""
        with self._lock:
            try:
                process = self._running(question)
                line = self._exchange(process, json.dumps(question), seconds)
            except BaseException:  # an interrupt would leave an answer that nobody waits for
                self._stop()
                raise
            if not line:
                self._stop()
                return None
            answer: dict[str, Any] = json.loads(line)
            return answer

    def close(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            self._stop()

    def _running(self, question: Mapping[str, str]) -> subprocess.Popen[str]:
        """The process, which has imported what such a question needs."""
        # After a fork the pipes belong to the parent.
        if self._process is None or self._owner != os.getpid():
            self._process, self._owner, self._lines = _start(), os.getpid(), Queue()
            stdout = self._process.stdout
            Thread(target=_read, args=(stdout, self._lines), daemon=True).start()
            self._exchange(self._process, json.dumps(dict.fromkeys(question, "1")), _START_SECONDS)
        return self._process

    def _exchange(self, process: subprocess.Popen[str], line: str, seconds: float) -> str:
        """The line that answers `line`; empty if there is none in time."""
        try:
            if process.stdin is not None:
                process.stdin.write(f"{line}\n")
                process.stdin.flush()
            return self._lines.get(timeout=seconds)
        except (OSError, Empty):
            return ""

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what it had not read is lost with it
                    pipe.close()


WORKER = Worker()
atexit.register(WORKER.close)


def _start() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


def _read(lines: IO[str], into: Queue[str]) -> None:
    for line in lines:
        into.put(line)
    into.put("")


def _answer(question: Mapping[str, str]) -> dict[str, Any]:
    if "pattern" in question:
        return _search(question["pattern"], question["text"])
    if "formula" in question:
        return {"score": float(_same_formula(question["formula"], question["text"]))}
    return {}


def _search(pattern: str, text: str) -> dict[str, Any]:
    import re

    try:
        return {"score": float(re.search(pattern, text) is not None)}
    except (re.error, RecursionError, OverflowError) as error:
        return {"fault": str(error)}


def _same_formula(gold: str, text: str) -> bool:
    """Whether math-verify finds the two the same, each read as LaTeX or as plain text."""
    from math_verify import verify  # type: ignore[import-untyped]

    rights, given = _readings(gold), _readings(text)
    # A limit of None turns math-verify's own off, which sets alarms; the whole process has one.
    return any(verify(right, found, timeout_seconds=None) for right in rights for found in given)


def _readings(text: str) -> list[list[Any]]:
    from math_verify import parse

    forms = [text] if "$" in text or "\\boxed" in text else [f"${text}$", text]
    found = (parse(form, parsing_timeout=None) for form in forms)
    return [reading for reading in found if reading]


def _limit_memory() -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    except (ImportError, ValueError, OSError):  # not on every system
        return


def main() -> None:
    """Answer questions until there are no more."""
    _limit_memory()
    out, sys.stdout = sys.stdout, sys.stderr  # libraries print
    for line in sys.stdin:
        try:
            answer = _answer(json.loads(line))
        except Exception as error:  # noqa: BLE001 - a formula may break its reader anywhere
            answer = {"score": 0.0, "fault": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main()
