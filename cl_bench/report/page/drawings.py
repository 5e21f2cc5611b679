"""The figures of boards as PNG and SVG files, for the Markdown twin and for papers.

They draw what the page's script draws, in the same colours; matplotlib is imported when a figure
is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cl_bench.report.blocks.drawings import Drawing, drawing
from cl_bench.report.leaderboard import Problem
from cl_bench.report.page.amount_figures import channels, cost, turnover
from cl_bench.report.page.board_record import DrawnBoard
from cl_bench.report.page.curve_figures import accuracy, divergence, efficiency, matrices

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES: Mapping[str, Callable[[DrawnBoard], Figure]] = {
    "accuracy": accuracy,
    "matrices": matrices,
    "accuracy-against-kl": divergence,
    "sample-efficiency": efficiency,
    "channels": channels,
    "turnover": turnover,
    "cost": cost,
}
"""By name, in the order in which the page shows them."""
UNDRAWN = "not drawn"
"""The kind of problem that a figure has."""


def draw(boards: Iterable[DrawnBoard]) -> tuple[dict[str, Drawing], list[Problem]]:
    """All figures by name: the board's anchor, a dot, and what it shows; and those that failed.

    Boards of one row compare nothing, and have figures only where all boards are such.
    """
    given = list(boards)
    several = [board for board in given if len(board.board.rows) > 1]
    found: dict[str, Drawing] = {}
    problems = []
    for board in several or given:
        for what, make in board_figures(board):
            name = f"{board.anchor}.{what}"
            try:
                found[name] = drawing(make())
            except Exception as error:  # noqa: BLE001 a page without one figure is better than none
                problems.append(Problem(Path(name), UNDRAWN, f"{type(error).__name__}: {error}"))
    return found, problems


def board_figures(board: DrawnBoard) -> Iterator[tuple[str, Callable[[], Figure]]]:
    """What makes the figures of one board, by name; none without finished runs."""
    seen = board.seen
    lacking = set()
    if all(drawn.gains is None for _, _, drawn in seen):
        lacking.add("channels")
    if all(drawn.changes is None for _, _, drawn in seen):
        lacking.add("turnover")
    for name, make in FIGURES.items():
        if seen and name not in lacking:
            yield name, partial(make, board)
