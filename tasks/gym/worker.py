"""The process for data sets that are kept apart: `python -P -m cl_bench.tasks.gym.worker`.

The process proper imports reasoning-gym, once, and forks; the child serves under limits, and when
it dies of a question, the process says so and forks the next one, which takes milliseconds.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from .engine import Local

CPU_SECONDS = 0.5
"""Computing time for one answer, some ten times what a long one takes."""
_WALL_SECONDS = 4.0
"""Until an answer is stopped that does not compute; a busy machine must not change a score."""
_MEMORY = 2**30
"""Bytes beyond what the process has when it begins to serve."""
_FILES = 64
_LAST_SECONDS = 2
"""More computing time than this nothing gets, should it have turned the timers off."""
_WARM = ("simple_integration", "intermediate_integration", "polynomial_multiplication")

Reply = Callable[[dict[str, Any]], None]


def main() -> None:
    """Serve until standard input ends."""
    replies = os.dup(1)
    silence = os.open(os.devnull, os.O_RDWR)
    os.dup2(silence, 1)
    os.dup2(silence, 2)

    def reply(answer: dict[str, Any]) -> None:
        os.write(replies, json.dumps(answer).encode() + b"\n")

    for data in _WARM:
        engine = _engine(data, "default", "{}")
        engine.score(1, engine.question(1), engine.gold(1))
    reply({"id": 0})
    while True:
        child = os.fork()
        if not child:
            _limit()
            _serve(reply)
            os._exit(0)
        if os.waitpid(child, 0)[1] == 0:
            return
        reply({"died": True})


def _serve(reply: Reply) -> None:
    own = os.getpid()
    while line := _line():
        asked = json.loads(line)
        try:
            answer = _answer(asked)
        except Exception as error:  # noqa: BLE001 - foreign code
            answer = {"error": f"{type(error).__name__}: {error}"}
        if os.getpid() != own:  # an answer has forked, which root may in spite of the limit
            os._exit(1)
        reply({"id": asked["id"], **answer})


def _line() -> bytes:
    """The next line of standard input and nothing beyond: it may be the next child's."""
    parts: list[bytes] = []
    while not parts or not parts[-1].endswith(b"\n"):
        part = os.read(0, 65_536)
        if not part:
            return b""
        parts.append(part)
    return b"".join(parts)


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    engine = _engine(asked["data"], asked["setting"], json.dumps(asked["texts"]))
    number = asked["number"]
    # Data sets that draw from the global generators draw the same each time.
    random.seed(number)
    np.random.seed(number)
    if asked["do"] == "question":
        return {"found": engine.question(number)}
    if asked["do"] == "gold":
        return {"found": engine.gold(number)}
    engine.keep(number)
    _limit_time(CPU_SECONDS, _WALL_SECONDS)
    try:
        return {"found": engine.score(number, asked["question"], asked["answer"])}
    finally:
        _limit_time(0, 0)


@cache
def _engine(data: str, setting: str, texts: str) -> Local:
    return Local(data, setting, json.loads(texts))


def _limit_time(computing: float, passing: float) -> None:
    """From now on; 0 for no limit. The default of both signals is to end the process."""
    signal.setitimer(signal.ITIMER_PROF, computing)
    signal.setitimer(signal.ITIMER_REAL, passing)
    most = resource.getrlimit(resource.RLIMIT_CPU)[1]
    used = int(time.process_time()) + 1
    last = used + _LAST_SECONDS if computing else most
    resource.setrlimit(resource.RLIMIT_CPU, (last, most))


def _limit() -> None:
    """No larger, no longer, no writing, no further processes, as far as the system has limits."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for kind, value in (
        (resource.RLIMIT_AS, _size() + _MEMORY),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, _FILES),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        try:
            resource.setrlimit(kind, (value, value))
        except (ValueError, OSError):  # not every system has each of them
            continue


def _size() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as pages:  # noqa: PTH123
            return int(pages.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 2**33


if __name__ == "__main__":
    main()
