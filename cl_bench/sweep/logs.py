"""What the process of a cell leaves beside the runs: its log, and how far the run is.

logs/<cell>.log      everything printed while the run was made, attempt after attempt
logs/<cell>.json     the step that the run has reached
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from rich.console import Console

from cl_bench.execution.progress import Lines
from cl_bench.sweep.cell import Cell

if TYPE_CHECKING:
    from cl_bench.contract.records import StepRecord
    from cl_bench.contract.stream import Stream

_BEGIN = "----- a process of cl-bench takes this run -----\n"
"""The first line of every attempt."""
_OFTEN = 1.0
"""Seconds between two notes of the step that a run has reached, at least."""
_WIDTH = 200
"""Columns of a log."""


def log_of(cell: Cell, folder: Path) -> Path:
    """Return the log of a cell whose run lies in `folder`."""
    return folder / "logs" / f"{cell.name}.log"


@contextmanager
def logged(cell: Cell, folder: Path) -> Iterator[None]:
    """Whatever this process prints inside, in whatever way, goes to the cell's log."""
    file = log_of(cell, folder)
    file.parent.mkdir(parents=True, exist_ok=True)
    kept = [os.dup(number) for number in (1, 2)]
    with file.open("a", encoding="utf-8") as log:
        log.write(_BEGIN)
        log.flush()
        try:
            for number in (1, 2):
                os.dup2(log.fileno(), number)
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, before in zip((1, 2), kept, strict=True):
                os.dup2(before, number)
                os.close(before)


def end_of_log(cell: Cell, folder: Path, lines: int = 10) -> list[str]:
    """Return the last lines of the last attempt at a cell; none if it printed nothing."""
    try:
        text = log_of(cell, folder).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [line for line in text.rpartition(_BEGIN)[2].splitlines() if line.strip()][-lines:]


@dataclass(frozen=True)
class Reached:
    """How far a run is."""

    step: int
    steps: int
    """Of the whole stream."""
    stage: str
    """The domain that it trains on."""
    left: float | None
    """Seconds to its end as it went so far; None before the first step."""


def reached(cell: Cell, folder: Path) -> Reached | None:
    """Return how far the cell's run said last that it is; None if it has not said so."""
    try:
        return Reached(**json.loads(log_of(cell, folder).with_suffix(".json").read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


class Told(Lines):
    """The progress of a cell's run: lines in its log, and the step that `reached` returns."""

    def __init__(self, cell: Cell, folder: Path) -> None:
        super().__init__(Console(stderr=True, width=_WIDTH, color_system=None))
        self._file = log_of(cell, folder).with_suffix(".json")
        self._told = 0.0

    def start(self, stream: Stream, learner: str, step: int) -> None:
        super().start(stream, learner, step)
        self._tell(step)

    def step(self, step: int, stage: int, record: StepRecord) -> None:
        super().step(step, stage, record)
        if monotonic() - self._told >= _OFTEN or step == self._total:
            self._tell(step)

    def _tell(self, step: int) -> None:
        self._told = monotonic()
        done, spent = step - self._first, self._told - self._started
        left = spent / done * (self._total - step) if done else None
        found = Reached(step, self._total, self._stages[self._stage], left)
        whole = self._file.with_suffix(".json.tmp")
        with suppress(OSError):  # a full disk ends the run elsewhere
            whole.write_text(json.dumps(asdict(found)), encoding="utf-8")
            whole.replace(self._file)
