"""What claims 4 to 7 draw over seeds: bars with their values, and curves that count their seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cl_bench.claims.measure import BySeed, Trajectory, generator
from cl_bench.claims.styles import colour, curves, label
from cl_bench.metrics import over_seeds
from cl_bench.metrics.stats.bootstrap import Interval
from cl_bench.metrics.undefined import Undefined

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKERS = 12
"""About how many markers a mean has."""


def bars(axes: Axes, values: Mapping[str, BySeed]) -> None:
    """A bar for each learner's mean, with its 95 % interval and the values of the seeds as dots.

    At a bar's foot stands how many seeds it rests on, where some have no value.
    """
    means = {name: over_seeds(by_seed, generator()) for name, by_seed in values.items()}
    for place, (name, mean) in enumerate(means.items()):
        if isinstance(mean, Undefined):
            continue
        known = [value for value in values[name].values() if not isinstance(value, Undefined)]
        across = place + (np.linspace(-0.2, 0.2, len(known)) if len(known) > 1 else np.zeros(1))
        axes.bar(place, mean.value, width=0.7, color=colour(name), alpha=0.75)
        axes.plot(across, known, "o", ms=2.8, color="#222222", alpha=0.6)
        if isinstance(mean.interval, Interval):
            axes.plot([place, place], [mean.interval.low, mean.interval.high], "#222222", lw=1.4)
        if mean.seeds < mean.of_seeds:
            counted = f"{mean.seeds} of {mean.of_seeds}"
            axes.annotate(
                counted,
                (place, 0),
                (0, 4),
                textcoords="offset points",
                ha="center",
                color="white",
                weight="bold",
            )
    axes.set_xticks(range(len(values)), [label(name) for name in values])
    axes.set_xlim(-0.6, len(values) - 0.4)
    axes.grid(visible=False, axis="x")


def counted_curves(axes: Axes, learner: str, seeds: Sequence[Trajectory | Undefined]) -> None:
    """The curves of a learner; at their mean's end stands of how many seeds, where not of all."""
    mean = curves(axes, learner, seeds)
    if mean is None:
        return
    x_P, y_P = mean
    axes.lines[-1].set_markevery(max(1, len(x_P) // _MARKERS))
    known = sum(not isinstance(seed, Undefined) for seed in seeds)
    if known < len(seeds):
        end = (float(x_P[-1]), float(y_P[-1]))
        text = f"{known} of {len(seeds)}"
        axes.annotate(text, end, (4, -3), textcoords="offset points", color=colour(learner))


def say_where_empty(panels: Sequence[Axes]) -> None:
    """Write into every panel without lines that there are no runs."""
    for axes in panels:
        if not axes.lines:
            axes.text(0.5, 0.5, "no runs", transform=axes.transAxes, ha="center", color="#777777")


def percent(axes: Axes) -> None:
    """Show shares upwards in percent."""
    from matplotlib.ticker import PercentFormatter

    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
