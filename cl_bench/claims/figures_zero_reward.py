"""Figure of claim 7: training reward and gradient norm where the base earns no reward."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from cl_bench.claims.claim_07_zero_reward import (
    DOMAIN,
    LEARNERS,
    LEVEL,
    WINDOW,
    Runs,
    Training,
    trainings,
)
from cl_bench.claims.measure import Trajectory
from cl_bench.claims.panels import counted_curves, percent, say_where_empty
from cl_bench.claims.plan import Plan
from cl_bench.claims.styles import colour, label, legend, sheet
from cl_bench.metrics.arrays import Array
from cl_bench.metrics.undefined import Undefined

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cl_bench.claims.data import Data

_RING: Any = {"marker": "o", "ls": "none", "mfc": "none", "mew": 1.6}
_SIZES = {"rl": 9, "fst": 4}
"""Diameters of rings, so that both are seen where they are at the same place."""


def draw(data: Data, plan: Plan) -> Figure:
    """Both against training samples, as means of the last 640 samples; onsets are marked."""
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    runs = trainings(data, plan)
    with sheet(1, 2) as (figure, axes):
        for panel, column in zip(axes, ("reward_T", "grad_norm_T"), strict=True):
            for learner, by_seed in runs.items():
                counted_curves(panel, learner, [_smooth(run, column) for run in by_seed.values()])
            panel.set_xlabel("training samples")
            panel.xaxis.set_major_formatter("{x:,.0f}")
            panel.xaxis.set_major_locator(MaxNLocator(4))
            panel.set_xlim(left=0)
        say_where_empty(axes)
        reward, gradient = axes
        reward.set(title=f"reward on {DOMAIN}", ylabel=f"mean of {WINDOW} samples")
        _draw_onsets(runs, reward)
        percent(reward)
        reward.set_ylim(bottom=0)
        gradient.set(title="gradient norm before clipping", ylabel=f"mean of {WINDOW} samples")
        gradient.set_ylim(bottom=0)
        ring = Line2D([], [], color="#555555", label="onset of a seed", ms=7, **_RING)
        legend(figure, LEARNERS, [ring])
    return figure


def _draw_onsets(runs: Runs, panel: Axes) -> None:
    """A ring for every run that reached the level, where the measure says so; how many below."""
    panel.axhline(LEVEL, color="#888888", lw=0.9, ls=":")
    told: dict[float, list[str]] = {}
    for learner, by_seed in runs.items():
        there = [run.reached for run in by_seed.values() if not isinstance(run, Undefined)]
        at = Counter(samples for samples in there if samples is not None)
        size = _SIZES[learner]
        panel.plot(list(at), [LEVEL] * len(at), color=colour(learner), ms=size, zorder=3, **_RING)
        for samples, seeds in at.items():
            told.setdefault(samples, []).append(f"{seeds} {label(learner)}")
    lines = [f"{samples:,.0f}: {', '.join(told[samples])}" for samples in sorted(told)]
    if lines:
        said = "\n".join(["onsets at", *lines])
        panel.text(0.97, 0.12, said, transform=panel.transAxes, ha="right", va="bottom")


def _smooth(run: Training | Undefined, column: str) -> Trajectory | Undefined:
    """The means of the windows that the measure looks at, each where it ends."""
    if isinstance(run, Undefined):
        return run
    value_T: Array = getattr(run, column)
    return run.samples_T[run.window - 1 :], run.recent(value_T)
