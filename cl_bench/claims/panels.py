"""Panels of the claims' figures: bars and lines over seeds, and what stands where no run is.

Imported by the functions that draw, because matplotlib loads slowly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from cl_bench.claims.by_seed import Value, estimate
from cl_bench.claims.look import colour, label
from cl_bench.metrics.arrays import Array
from cl_bench.metrics.bootstrap import Interval
from cl_bench.metrics.undefined import Undefined

BASE_COLOUR = "#888888"
STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#888888",
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "figure.constrained_layout.use": True,
    "figure.dpi": 150,
    "font.size": 9,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
}


@contextmanager
def panels(
    titles: Sequence[str], size: tuple[float, float], *, stacked: bool = False, **shared: Any
) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure with one titled panel after the other, in the claims' style while it is drawn.

    `size` in inches; `shared` goes to `Figure.subplots`, such as `sharey=True`.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=size)
        shape = (len(titles), 1) if stacked else (1, len(titles))
        found = figure.subplots(*shape, squeeze=False, **shared)
        axes = list(found.flat)
        for panel, title in zip(axes, titles, strict=True):
            panel.set_title(title)
        yield figure, axes


def say(axes: Axes, text: str = "no runs") -> None:
    """Write into an otherwise empty panel why it is empty."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color="#555555")


def look(name: str) -> tuple[str, str]:
    """Colour and label of a learner, or of the base."""
    return (BASE_COLOUR, "base") if name == "base" else (colour(name), label(name))


def bars(axes: Axes, values: Mapping[str, Sequence[Value]]) -> None:
    """A bar for the mean of each name's values, one per seed, its 95 % interval and the values."""
    shown = False
    for place, (name, of_seeds) in enumerate(values.items()):
        found = estimate(dict(enumerate(of_seeds)))
        if isinstance(found, Undefined):
            continue
        shown = True
        axes.bar(place, found.value, width=0.68, color=look(name)[0], alpha=0.8)
        known = [value for value in of_seeds if not isinstance(value, Undefined)]
        across = place + np.linspace(-0.16, 0.16, len(known)) if len(known) > 1 else [place]
        axes.plot(across, known, "o", ms=2.6, color="#222222", alpha=0.65, zorder=3)
        if isinstance(found.interval, Interval):
            axes.plot([place] * 2, [found.interval.low, found.interval.high], "#222222", lw=1.3)
        if found.seeds < found.of_seeds:
            counted = f"{found.seeds} of {found.of_seeds}"
            axes.text(place, found.value, counted, ha="center", va="bottom", fontsize=7)
    if not shown:
        say(axes)
    axes.set_xticks(range(len(values)), [look(name)[1] for name in values])
    axes.set_xlim(-0.6, len(values) - 0.4)
    axes.grid(visible=False, axis="x")


def lines(axes: Axes, learner: str, curves: Sequence[tuple[Array, Array] | Undefined]) -> None:
    """A thin line for every seed's curve (x, y), and a thick one for their mean.

    The legend counts the seeds if some have no curve. No mean if the curves have different points.
    """
    known = [curve for curve in curves if not isinstance(curve, Undefined)]
    if not known:
        return
    shade, name = look(learner)
    if len(known) < len(curves):
        name += f" ({len(known)} of {len(curves)} seeds)"
    for x, y in known:
        axes.plot(x, y, color=shade, lw=0.7, alpha=0.4)
    points = known[0][0]
    if all(np.array_equal(x, points) for x, _ in known):
        axes.plot(points, np.mean([y for _, y in known], axis=0), color=shade, lw=2.2, label=name)
    else:
        axes.plot([], [], color=shade, lw=0.7, label=name)


def percent(axes: Axes) -> None:
    """Show shares of 1 as percentages."""
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def legend(figure: Figure, axes: Sequence[Axes]) -> None:
    """One legend below all panels, with every name once."""
    named: dict[str, Artist] = {}
    for panel in axes:
        for handle, name in zip(*panel.get_legend_handles_labels(), strict=True):
            named.setdefault(name, handle)
    if named:
        figure.legend([*named.values()], [*named], loc="outside lower center", ncols=4)
