"""How a sweep is shown while it goes on: a table on a terminal, lines elsewhere, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table

from cl_bench.contract.redaction import say
from cl_bench.contract.text import printable
from cl_bench.metrics.quantities import SECONDS
from cl_bench.sweep.logs import Reached

RUNNING, QUEUED, WAITING = "running", "queued", "waiting for its start"
_ORDER = ("failed", RUNNING, "diverged", "no start", "done", QUEUED, WAITING)
"""What a table that does not fit the terminal shows first."""
_AROUND = 6
"""Lines of a terminal that are not rows of the table."""


@dataclass(frozen=True)
class CellRow:
    """A cell in the table."""

    name: str
    state: str
    where: str = ""
    reached: Reached | None = None
    seconds: float | None = None
    """That it runs, or ran."""


@dataclass(frozen=True)
class SweepView:
    """A sweep at one moment."""

    rows: Callable[[], Sequence[CellRow]]
    """Its cells; asked for by displays that show them, as it takes a look at every run."""
    summary: str
    """A line about all of them."""


class Display(Protocol):
    """What shows a sweep. Implementations must not raise for what they are given."""

    def say(self, line: str) -> None:
        """Something was found out or has happened."""

    def show(self, view: SweepView) -> None:
        """This is how it stands now; called about once a second."""

    def close(self) -> None:
        """The sweep ended, in whatever way: release the terminal."""


class Lines:
    """What is said, line by line; for logs and pipes."""

    def __init__(self, say: Callable[[str], None] = say) -> None:
        self._say = say

    def say(self, line: str) -> None:
        self._say(line)

    def show(self, view: SweepView) -> None:
        pass

    def close(self) -> None:
        pass


class Quiet(Lines):
    """Says nothing."""

    def __init__(self) -> None:
        super().__init__(lambda _: None)


class LiveTable(Lines):
    """The lines, above a table of all cells that changes as they do; as large as fits."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="visible")
        self._view: SweepView | None = None

    def show(self, view: SweepView) -> None:
        self._view = view
        self._live.start()
        self._live.update(_table(view, self._live.console.height - _AROUND), refresh=True)

    def close(self) -> None:
        if self._view is not None:
            self._live.update(_table(self._view, None))
        self._live.stop()  # draws once more


def display_for(console: Console, *, quiet: bool) -> Display:
    """Return the display that suits the console."""
    if quiet:
        return Quiet()
    return LiveTable(console) if console.is_terminal else Lines()


def _table(view: SweepView, height: int | None) -> Table:
    """The cells' table; of more than fits, what matters most at the moment."""
    rows = view.rows()
    shown = rows
    if height is not None and len(rows) > height:
        shown = sorted(rows, key=lambda row: _ORDER.index(row.state))[: max(1, height)]
    more = f"; {len(rows) - len(shown)} not shown" if len(shown) < len(rows) else ""
    table = Table(box=None, pad_edge=False, caption=view.summary + more, caption_justify="left")
    for name in ("run", "state", "where", "stage", "step", "time", "left"):
        table.add_column(name, justify="right" if name in ("step", "time", "left") else "left")
    for row in shown:
        table.add_row(*map(printable, _texts(row)))
    return table


def _texts(row: CellRow) -> tuple[str, ...]:
    at = row.reached
    return (
        row.name,
        row.state,
        row.where,
        at.stage if at else "",
        f"{at.step}/{at.steps}" if at else "",
        "" if row.seconds is None else SECONDS.text(row.seconds),
        "" if at is None or at.left is None or row.state != RUNNING else SECONDS.text(at.left),
    )
