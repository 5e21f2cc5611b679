"""Makes the runs of a sweep that are missing, several at a time, each process with one thread.

Where there are GPUs a process sees one of them; more processes than GPUs share them in turn.
Finished runs are reused if they were made of what lies there now, and unfinished ones resumed. A
run that fails is told and the others go on; one that diverged is a result like any other, and
nothing that starts from it is made.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from time import monotonic

from cl_bench.contract.errors import require_posix
from cl_bench.execution import machine
from cl_bench.metrics.quantities import SECONDS
from cl_bench.sweep.cell import Cell, as_json
from cl_bench.sweep.state import (
    FINISHED,
    MISSING,
    NO_START,
    NOTHING,
    SETTLED,
    Freshness,
    status,
    why_no_start,
    with_starts,
)

_ONE_THREAD = {
    **{f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")},
    "OMP_WAIT_POLICY": "PASSIVE",
    "TOKENIZERS_PARALLELISM": "false",
}
_WORKER = (sys.executable, "-P", "-m", "cl_bench.sweep.worker")


@dataclass(frozen=True)
class CellOutcome:
    """The outcome of a cell."""

    cell: Cell
    status: str
    """done, diverged, no start (its start diverged, so that it can never be made) or failed."""
    reason: str
    seconds: float = 0.0
    note: str = ""
    """A further remark; mostly empty."""


def make_missing(
    cells: Sequence[Cell],
    folder: Path,
    *,
    jobs: int,
    say: Callable[[str], None],
    known: Mapping[str, str] = NOTHING,
) -> list[CellOutcome]:
    """Make the runs of `cells` that are not settled in `folder`, nor by the statuses in `known`.

    Returns one outcome for each run that was made or tried now, in the order in which they ended.
    Cells whose start failed fail too; those whose start diverged have none and are not tried. An
    interrupt ends the workers, whose runs can be resumed.
    """
    wanted = [cell for cell in with_starts(cells) if cell.name not in known]
    states = {cell: status(cell, folder, known) for cell in wanted}
    left = _left(states, folder)
    without = sum(state == NO_START for state in states.values())
    if finished := len(wanted) - len(left) - without:
        say(f"{finished} of {len(wanted)} runs are finished already")
    if without:
        say(f"{without} of {len(wanted)} runs cannot be made: those they start from diverged")
    if not left:
        return []
    require_posix()
    folder.mkdir(parents=True, exist_ok=True)
    began = monotonic()
    outcomes: list[CellOutcome] = []
    workers = _Workers(folder, machine.gpus())
    threads = ThreadPoolExecutor(min(jobs, len(left)))
    try:
        futures: dict[Cell, Future[CellOutcome]] = {}
        for cell in left:  # a cell's start comes before it, so waiting for one cannot block all
            before = futures.get(cell.start) if cell.start else None
            futures[cell] = threads.submit(workers.make, cell, before)
        for ended in as_completed(futures.values()):
            outcomes.append(ended.result())
            say(_line(outcomes, len(left), monotonic() - began))
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        workers.end()
    return outcomes


def outlook(cells: Sequence[Cell], folder: Path) -> Iterator[tuple[Cell, str]]:
    """Yield each run that `make_missing` would look at, and what it would do about it."""
    states = {cell: status(cell, folder) for cell in with_starts(cells)}
    left = {*_left(states, folder)}
    for cell, state in states.items():
        if cell not in left:
            yield cell, f"kept ({state})" if state in FINISHED else f"left out ({state})"
        elif state in FINISHED:
            yield cell, "made again (it is of something else than the command asks for now)"
        else:
            yield cell, "made" if state == MISSING else f"resumed ({state})"


def _left(states: Mapping[Cell, str], folder: Path) -> list[Cell]:
    """The cells that have no settled run, or one of something else than they would make now.

    Those that start from such a run too: a worker looks again, once it is made.
    """
    fresh, stale = Freshness(folder), set[Cell]()
    for cell, state in states.items():
        if state in FINISHED and (cell.start in stale or fresh.changed(cell)):
            stale.add(cell)
    return [cell for cell, state in states.items() if state not in SETTLED or cell in stale]


class _Workers:
    """The processes that make runs, one for each thread that asks."""

    def __init__(self, folder: Path, cards: Sequence[str]) -> None:
        self._folder = folder
        self._cards = cycle(cards)
        self._mine = threading.local()
        self._all: list[subprocess.Popen[str]] = []

    def make(self, cell: Cell, before: Future[CellOutcome] | None) -> CellOutcome:
        """Have the cell made once `before`, the run it starts from, has ended."""
        began = monotonic()
        start = None if before is None else before.result()
        if start is not None and (why := why_no_start(cell, start.status)) is not None:
            return CellOutcome(cell, NO_START, why)
        if start is not None and start.status != "done":
            return CellOutcome(cell, "failed", f"{start.cell.name} left no model")
        worker = self._worker()
        assert worker.stdin is not None
        assert worker.stdout is not None
        try:
            worker.stdin.write(as_json(cell) + "\n")
            worker.stdin.flush()
            answer = worker.stdout.readline()
        except (OSError, ValueError):
            answer = ""
        if not answer:
            reason = f"its process ended with exit code {worker.wait()}"
            return CellOutcome(cell, "failed", reason, monotonic() - began)
        return CellOutcome(cell, **json.loads(answer), seconds=monotonic() - began)

    def end(self) -> None:
        """End all processes; a run that one is making can be resumed."""
        for worker in self._all:
            worker.terminate()
        for worker in self._all:
            worker.wait()
            for stream in (worker.stdin, worker.stdout):
                assert stream is not None
                with suppress(OSError):
                    stream.close()

    def _worker(self) -> subprocess.Popen[str]:
        """This thread's process, alive."""
        worker: subprocess.Popen[str] | None = getattr(self._mine, "worker", None)
        if worker is None or worker.poll() is not None:
            # With -P a worker imports what this process does, whatever lies in the current folder.
            imports = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)
            if not hasattr(self._mine, "card"):  # a thread's next process takes the same one
                card = next(self._cards, None)
                self._mine.card = {} if card is None else {"CUDA_VISIBLE_DEVICES": card}
            worker = subprocess.Popen(
                [*_WORKER, str(self._folder), str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | _ONE_THREAD | self._mine.card | {"PYTHONPATH": imports},
            )
            self._all.append(worker)
            self._mine.worker = worker
        return worker


def _line(outcomes: Sequence[CellOutcome], total: int, seconds: float) -> str:
    """One line of progress about the run that ended last."""
    last = outcomes[-1]
    left = SECONDS.text(seconds / len(outcomes) * (total - len(outcomes)))
    told = "; ".join(filter(None, (last.reason, last.note)))
    reason = f" ({told})" if told else ""
    return (
        f"[{len(outcomes)}/{total}] {last.cell.name}: {last.status}{reason} "
        f"after {SECONDS.text(last.seconds)}; about {left} left"
    )
