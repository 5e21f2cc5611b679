"""What the claims' figures draw over seeds: bars with their values, and curves with their mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cl_bench.claims.look import colour, label, marker, no_runs
from cl_bench.claims.measure import BySeed, generator
from cl_bench.metrics import over_seeds
from cl_bench.metrics.arrays import Array
from cl_bench.metrics.bootstrap import Interval
from cl_bench.metrics.undefined import Undefined

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Curve = tuple[Array, Array]
"""Where its points are, and their values."""
_MARKERS = 12
"""About how many markers a curve has."""


def bars(axes: Axes, values: Mapping[str, BySeed]) -> None:
    """A bar for each learner's mean, with its 95 % interval and the values of the seeds as dots.

    Above a bar stands how many seeds it rests on, where some have no value.
    """
    rng = generator()
    means = {name: over_seeds(by_seed, rng) for name, by_seed in values.items()}
    if all(isinstance(mean, Undefined) for mean in means.values()):
        no_runs(axes)
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
            above = max([*known, mean.value])
            axes.annotate(counted, (place, above), (0, 3), textcoords="offset points", ha="center")
    axes.set_xticks(range(len(values)), [label(name) for name in values])
    axes.set_xlim(-0.6, len(values) - 0.4)
    axes.grid(visible=False, axis="x")


def curves(axes: Axes, learner: str, of_seeds: Sequence[Curve | Undefined]) -> bool:
    """A thin line for every seed and a thick one for their mean; whether there was any.

    At the mean's end stands how many seeds it rests on, where some have no curve. There is no mean
    of curves that have different points.
    """
    look = {"color": colour(learner)}
    known = [curve for curve in of_seeds if not isinstance(curve, Undefined)]
    for x, y in known:
        axes.plot(x, y, lw=0.7, alpha=0.4, **look)
    if known and all(np.array_equal(x, known[0][0]) for x, _ in known):
        x, mean = known[0][0], np.mean([y for _, y in known], axis=0)
        between = max(1, len(x) // _MARKERS)
        axes.plot(x, mean, lw=2.2, marker=marker(learner), markevery=between, **look)
        if len(known) < len(of_seeds):
            counted = f"{len(known)} of {len(of_seeds)}"
            axes.annotate(counted, (x[-1], mean[-1]), (4, -3), textcoords="offset points", **look)
    return bool(known)
