"""The parts that figure files of boards share: sheets, curves, labels, legends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from textwrap import fill
from typing import TYPE_CHECKING, Any

from cl_bench.report.blocks import drawings
from cl_bench.report.blocks.drawings import any_text
from cl_bench.report.blocks.look import Look
from cl_bench.report.page.bands import Band
from cl_bench.report.page.board_record import MOST_SEEDS, Seen

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_MARKERS = 12
_MOST_BANDS = 2
_LINE, _LEGEND = 36, 130
"""Characters of a label's line, and of all that stand side by side in a legend, on the screen."""
_LINE_HEIGHT, _PADDING = 0.15, 0.06
"""Inches of a label's line, and around a label."""
_LEGEND_HEIGHT = 0.4
"""Inches that the height of a sheet has room for."""


@contextmanager
def sheet(rows: int, columns: int, height: float, **options: Any) -> Iterator[tuple[Figure, Any]]:
    """A figure and its panels, shape (rows, columns), of inches so high on the screen; draw inside
    the `with`."""
    with drawings.panels(rows, columns, height / rows, **options) as (figure, panels):
        yield figure, panels


def curve(axes: Axes, look: Look, across: Any, band: Band, *, rows: int) -> None:
    """A mean, with its interval and thin single seeds where it is one of few `rows`: those of many
    would hide one another."""
    few = rows <= _MOST_BANDS
    if few and band.low_P is not None and band.high_P is not None:
        axes.fill_between(across, band.low_P, band.high_P, color=look.colour, alpha=0.13, lw=0)
    for value_P in band.seeds_S_P if few and 1 < len(band.seeds_S_P) <= MOST_SEEDS else ():
        axes.plot(across, value_P, color=look.colour, lw=0.5, alpha=0.35)
    every = max(1, len(across) // _MOST_MARKERS)
    style: Any = {"color": look.colour, "marker": look.marker, "ls": dashes(look)}
    axes.plot(across, band.mean_P, markevery=every, **style)


def dashes(look: Look) -> str:
    """The line of a look, as matplotlib calls it."""
    return "--" if look.dashed else "-"


def wrapped(name: str) -> str:
    """A long label on several lines, settings on their own, so that it leaves room for what it
    names."""
    if len(name) <= _LINE:
        return name
    learner, bracket, settings = name.partition(" (")
    return "\n".join(fill(part, _LINE) for part in (learner, bracket.strip() + settings) if part)


def label_height(names: Iterable[str]) -> float:
    """Inches that the tallest of some labels takes when it is `wrapped`."""
    lines = max((1 + wrapped(name).count("\n") for name in names), default=1)
    return _PADDING + lines * _LINE_HEIGHT


def legend(
    figure: Figure, seen: Seen | Sequence[tuple[str, Look]], more: Sequence[Any] = ()
) -> None:
    """The learners, then `more` handles; the sheet grows where they need more room."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, ls=dashes(look), label=wrapped(name))
        for name, look, *_ in seen
    ]
    shown = [*handles, *more]
    longest = max(len(line) for each in shown for line in str(each.get_label()).splitlines())
    columns = min(len(shown), 5, max(1, int(drawings.fitting(_LEGEND) // (longest + 6))))
    made = figure.legend(handles=shown, loc="outside lower center", ncols=columns)
    with any_text():
        taken = made.get_window_extent().height / figure.dpi
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + max(0.0, taken - _LEGEND_HEIGHT))
