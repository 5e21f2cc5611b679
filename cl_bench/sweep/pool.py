"""Makes the runs of a sweep that are missing, wherever its backend makes them.

Finished runs are reused if they were made of what lies there now, and unfinished ones resumed. A
run that fails is told with the end of its log and the others go on; one that diverged is a result
like any other, and nothing that starts from it is made.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic

from cl_bench.contract.errors import require_posix
from cl_bench.metrics.quantities import SECONDS
from cl_bench.sweep.backends.backend import (
    Backend,
    BackendConfig,
    CellOutcome,
    CellState,
    open_backend,
)
from cl_bench.sweep.cell import Cell
from cl_bench.sweep.display import QUEUED, RUNNING, WAITING, CellRow, Display, SweepView
from cl_bench.sweep.logs import end_of_log, log_of, reached
from cl_bench.sweep.state import (
    NO_START,
    NOTHING,
    left_of,
    status,
    why_no_start,
    with_starts,
)

_LOOK = 1.0
"""Seconds between two looks at what runs."""


def make_missing(
    cells: Sequence[Cell],
    folder: Path,
    *,
    on: BackendConfig,
    display: Display,
    known: Mapping[str, str] = NOTHING,
) -> list[CellOutcome]:
    """Make the runs of `cells` that are not settled in `folder`, nor by the statuses in `known`.

    Returns one outcome for each run that was made or tried now, in the order in which they ended.
    Cells whose start failed fail too; those whose start diverged have none and are not tried. An
    interrupt ends what was begun, and runs can be resumed. Raises `UsageError` for a backend that
    can make no run.
    """
    wanted = [cell for cell in with_starts(cells) if cell.name not in known]
    states = {cell: status(cell, folder, known) for cell in wanted}
    left = left_of(states, folder)
    without = sum(state == NO_START for state in states.values())
    if finished := len(wanted) - len(left) - without:
        display.say(f"{finished} of {len(wanted)} runs are finished already")
    if without:
        display.say(
            f"{without} of {len(wanted)} runs cannot be made: those they start from diverged"
        )
    if not left:
        return []
    require_posix()
    folder.mkdir(parents=True, exist_ok=True)
    backend = open_backend(folder, on)
    try:
        return _Sweep(left, folder, backend, display).made()
    finally:
        display.close()
        backend.close()


class _Sweep:
    """The cells that are left, on their way through a backend."""

    def __init__(
        self, cells: Sequence[Cell], folder: Path, backend: Backend, display: Display
    ) -> None:
        self._cells, self._folder = cells, folder
        self._backend, self._display = backend, display
        self._outcomes: dict[Cell, CellOutcome] = {}
        self._since: dict[Cell, float] = {}
        """When each was first seen running."""
        self._waiting: dict[Cell, list[Cell]] = defaultdict(list)
        """By cell those that start from it."""
        self._began = monotonic()

    def made(self) -> list[CellOutcome]:
        """Have all of them made; their outcomes, in the order of their ends."""
        left = {*self._cells}
        for cell in self._cells:
            if cell.start in left:
                self._waiting[cell.start].append(cell)
        self._backend.submit([cell for cell in self._cells if cell.start not in left])
        while len(self._outcomes) < len(self._cells):
            self._display.show(SweepView(self._rows, self._summary()))
            ends = deque(self._backend.ended(_LOOK))
            while ends:
                outcome = ends.popleft()
                self._tell(outcome)
                ends.extend(self._release(outcome))
        self._display.show(SweepView(self._rows, self._summary()))
        return list(self._outcomes.values())

    def _release(self, ended: CellOutcome) -> list[CellOutcome]:
        """Submit the cells that start from one that ended; the outcomes of those that cannot."""
        waited = self._waiting.pop(ended.cell, [])
        if ended.status == "done":
            self._backend.submit(waited)
            return []
        return [_without_start(cell, ended) for cell in waited]

    def _tell(self, outcome: CellOutcome) -> None:
        """Note an outcome, and say it; of one that failed, the end of its log too."""
        self._outcomes[outcome.cell] = outcome
        told = "; ".join(filter(None, (outcome.reason, outcome.note)))
        self._display.say(
            f"[{len(self._outcomes)}/{len(self._cells)}] {outcome.cell.name}: {outcome.status}"
            f"{f' ({told})' if told else ''} after {SECONDS.text(outcome.seconds)}; {self._eta()}"
        )
        if outcome.status == "failed" and (lines := end_of_log(outcome.cell, self._folder)):
            self._display.say(f"the end of {log_of(outcome.cell, self._folder)}:")
            for line in lines:
                self._display.say(f"  {line}")

    def _eta(self) -> str:
        ended = len(self._outcomes)
        left = (monotonic() - self._began) / ended * (len(self._cells) - ended)
        return f"about {SECONDS.text(left)} left" if left else "all ended"

    def _summary(self) -> str:
        states = Counter(
            RUNNING if state.running else QUEUED for state in self._backend.states().values()
        )
        states.update(outcome.status for outcome in self._outcomes.values())
        states[WAITING] = sum(map(len, self._waiting.values()))
        told = ", ".join(f"{number} {state}" for state, number in sorted(states.items()) if number)
        return f"{told}; {self._eta()}" if self._outcomes else told

    def _rows(self) -> list[CellRow]:
        states = self._backend.states()
        return [self._row(cell, states.get(cell)) for cell in self._cells]

    def _row(self, cell: Cell, state: CellState | None) -> CellRow:
        if (outcome := self._outcomes.get(cell)) is not None:
            return CellRow(cell.name, outcome.status, seconds=outcome.seconds)
        if state is None:
            return CellRow(cell.name, WAITING)
        if not state.running:
            self._since.pop(cell, None)
            return CellRow(cell.name, QUEUED, state.where)
        now = monotonic()
        seconds = now - self._since.setdefault(cell, now)
        return CellRow(cell.name, RUNNING, state.where, reached(cell, self._folder), seconds)


def _without_start(cell: Cell, start: CellOutcome) -> CellOutcome:
    """The outcome of a cell that starts from one that was not done."""
    if (why := why_no_start(cell, start.status)) is not None:
        return CellOutcome(cell, NO_START, why)
    return CellOutcome(cell, "failed", f"{start.cell.name} left no model")
