"""Runs in processes of this machine, several at a time, each of one thread.

Where there are GPUs a run has those of its own, with a process for each if they are several; more
runs than that share them in turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from multiprocessing.connection import wait
from pathlib import Path

from cl_bench.contract.errors import UsageError
from cl_bench.execution import machine
from cl_bench.sweep.backends.backend import BackendConfig, CellOutcome, CellState
from cl_bench.sweep.backends.process import WorkerProcess
from cl_bench.sweep.cell import Cell


class Local:
    """A pool of worker processes."""

    def __init__(self, folder: Path, config: BackendConfig) -> None:
        groups = _groups(machine.gpus(), config.gpus_per_run)
        count = config.jobs or len(groups) or machine.cores()
        self._slots = [_Slot(folder, cards) for cards in islice(cycle(groups or [None]), count)]
        self._queue: deque[Cell] = deque()

    def submit(self, cells: Sequence[Cell]) -> None:
        self._queue.extend(cells)
        self._fill()

    def ended(self, seconds: float) -> list[CellOutcome]:
        busy = {slot.process.answers: slot for slot in self._slots if slot.process and slot.cell}
        ready = wait(list(busy), seconds)
        outcomes = [slot.take() for answers, slot in busy.items() if answers in ready]
        self._fill()
        return outcomes

    def states(self) -> Mapping[Cell, CellState]:
        queued = {cell: CellState(False, "") for cell in self._queue}
        running = {slot.cell: CellState(True, slot.name) for slot in self._slots if slot.cell}
        return {**running, **queued}

    def close(self) -> None:
        processes = [slot.process for slot in self._slots if slot.process]
        for process in processes:
            process.terminate()
        for process in processes:
            process.close()

    def _fill(self) -> None:
        """Give what waits to the slots that are free."""
        for slot in self._slots:
            if self._queue and slot.cell is None:
                slot.give(self._queue.popleft())


class _Slot:
    """A place for one run at a time: its GPUs, its process and the cell that this makes."""

    def __init__(self, folder: Path, cards: Sequence[str] | None) -> None:
        self._folder = folder
        self._environment = {} if cards is None else {"CUDA_VISIBLE_DEVICES": ",".join(cards)}
        self._ranks = len(cards) if cards else 1
        self.name = f"GPU {','.join(cards)}" if cards else "this machine"
        self.process: WorkerProcess | None = None
        self.cell: Cell | None = None

    def give(self, cell: Cell) -> None:
        """Have a cell made, by the process that is there, or a new one."""
        if self.process is None or not self.process.alive:
            if self.process is not None:
                self.process.close()
            self.process = WorkerProcess(self._folder, self._environment, self._ranks)
        self.process.ask(cell)
        self.cell = cell

    def take(self) -> CellOutcome:
        """Take the answer that there is; the slot is free then."""
        assert self.process is not None
        assert self.cell is not None
        outcome = self.process.answer(self.cell)
        self.cell = None
        return outcome


def _groups(cards: Sequence[str], size: int) -> list[Sequence[str]]:
    """The GPUs of every process that can run beside the others; none where all do without."""
    if size == 0:
        return [()] if cards else []
    if size > max(1, len(cards)):
        raise UsageError(
            f"gpus_per_run is {size}, but this machine has {len(cards)} GPUs. Give fewer, or "
            "another --backend."
        )
    return [cards[first : first + size] for first in range(0, len(cards) - size + 1, size)]
