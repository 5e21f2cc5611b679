"""The same work on many things, done by several processes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

LEAST = 100
"""Runs that are worth the start of processes, which takes seconds."""
_TOGETHER, _AHEAD = 8, 4
"""Things that a process is given at once, and how many such parts wait for each process."""


def in_order(
    work: Callable[[T], R], things: Iterable[T], *, jobs: int = 1, runs: int | None = None
) -> Iterator[R]:
    """Yield what `work` makes of each thing, in their order, by so many processes at once.

    Few results wait at a time, however many things there are. `runs` is how many runs the things
    are, if not one each; of fewer than `LEAST` no process is started. What is given and what comes
    back is pickled; so is an error, which ends everything.
    """
    known = list(things)
    if jobs < 2 or (len(known) if runs is None else runs) < LEAST:
        yield from map(work, known)
        return
    size = max(1, min(_TOGETHER, len(known) // (_AHEAD * jobs)))
    parts = (known[start : start + size] for start in range(0, len(known), size))
    # Spawned, not forked: a fork of a process with threads may hang.
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"))
    try:
        first = islice(parts, _AHEAD * jobs)
        waiting = deque(pool.submit(_each, work, part) for part in first)
        while waiting:
            yield from waiting.popleft().result()
            waiting += [pool.submit(_each, work, part) for part in islice(parts, 1)]
    finally:
        pool.shutdown(cancel_futures=True)


def _each(work: Callable[[T], R], things: Sequence[T]) -> list[R]:
    return [work(thing) for thing in things]
