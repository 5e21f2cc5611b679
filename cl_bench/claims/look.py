"""How the claims' figures look: one colour, marker and name for each learner everywhere.

matplotlib is imported when a figure is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEARNERS = ("rl", "prompt", "fst", "fst-distill")
"""The learners of the claims, in the order of legends; `base` has a look too."""

_LOOKS = {
    "base": ("base", "#555555", "X"),
    "rl": ("RL", "#0072B2", "s"),
    "prompt": ("prompt-only", "#E69F00", "^"),
    "fst": ("FST", "#009E73", "o"),
    "fst-distill": ("FST-distill", "#CC79A7", "D"),
}
"""Name, colour (Okabe and Ito's; RL and prompts as in a run's own figures) and marker."""


def label(learner: str) -> str:
    """What readers call the learner."""
    return _LOOKS[learner][0]


def colour(learner: str) -> str:
    """The learner's colour, the same in all figures."""
    return _LOOKS[learner][1]


def marker(learner: str) -> str:
    """The learner's marker, so that colour is never the only difference."""
    return _LOOKS[learner][2]


@contextmanager
def sheet(rows: int, columns: int, **options: Any) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure and its panels row by row, in the suite's style; draw inside the `with`."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from cl_bench.report.figures import STYLE

    with rc_context(STYLE):
        figure = Figure(figsize=(8.0, 0.6 + 2.8 * rows))
        FigureCanvasAgg(figure)
        yield figure, figure.subplots(rows, columns, squeeze=False, **options).ravel().tolist()


def no_runs(axes: Axes) -> None:
    """Say in the middle of a panel that there is nothing to draw."""
    axes.text(0.5, 0.5, "no runs", transform=axes.transAxes, ha="center", color="#777777")


def legend(figure: Figure, learners: Sequence[str], more: Sequence[Any] = ()) -> None:
    """The learners' looks, and `more` handles, below all panels."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour(name), marker=marker(name), label=label(name))
        for name in learners
    ]
    figure.legend(handles=[*handles, *more], loc="outside lower center", ncols=5)


def percent(axes: Axes) -> None:
    """Accuracies from 0 up, shown in percent."""
    from matplotlib.ticker import PercentFormatter

    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_ylim(bottom=0)


def thousands(axes: Axes) -> None:
    """Numbers of samples on the horizontal axis, with separators."""
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_xlim(left=0)
