"""The figure of claim 3: accuracy against the distance from the base."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cl_bench.claims import styles
from cl_bench.claims.claim_03_kl import Pair, common_range, pairs_of
from cl_bench.claims.measure import Curves, Trajectory, generator, trajectory
from cl_bench.claims.plan import KL_DOMAINS, Plan
from cl_bench.metrics.stats.bootstrap import bootstrap_band
from cl_bench.metrics.undefined import Undefined

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LINEAR = 1e-3
"""Nats per token below which the axis of KL is linear."""
_SHADE = "#f0ead8"


def draw(data: Curves, plan: Plan) -> Figure:
    """One panel per domain: higher at the same place is more accuracy for the same distance."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.ticker import StrMethodFormatter

    with styles.sheet(2, 2, sharey=True) as (figure, panels):
        for axes, domain in zip(panels, KL_DOMAINS, strict=True):
            axes.set_title(domain)
            _draw_domain(axes, data, plan, domain)
        for axes in panels[2:]:
            axes.set_xlabel("KL(policy ‖ base), nats per token")
        for axes in panels[::2]:
            axes.set_ylabel("accuracy on test problems")
        styles.finish(panels, samples=False)
        for axes in panels:
            axes.set_xscale("symlog", linthresh=_LINEAR, linscale=0.4)
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axes.set_xlim(left=0)
        dashed = Line2D(
            [], [], color=styles.colour("fst"), dashes=(4, 2), lw=1.4, label="FST, seed prompt"
        )
        compared = Patch(color=_SHADE, label="compared accuracies, mean")
        bar = Line2D([], [], color="#555555", lw=1.2, label="95 % interval of KL")
        styles.legend(figure, ("rl", "fst"), [dashed, bar, compared], band=False)
        return figure


def _draw_domain(axes: Axes, data: Curves, plan: Plan, domain: str) -> None:
    for learner, prompt in (("fst", "seed"), ("rl", "learner"), ("fst", "learner")):
        runs = [
            trajectory(
                data,
                plan.single(domain, learner, seed),
                domain,
                "kl_policy_base",
                "accuracy",
                prompt=prompt,
            )
            for seed in plan.seeds
        ]
        mean = styles.curves(axes, learner, runs, dashed=prompt == "seed", band=False)
        if mean is not None and prompt != "seed":
            _intervals(axes, learner, runs, mean)
    _compared(axes, data, plan, domain)


def _intervals(
    axes: Axes, learner: str, runs: Sequence[Trajectory | Undefined], mean: Trajectory
) -> None:
    """A bar across every point of a mean: the interval of its KL over seeds."""
    there = [run[0] for run in runs if not isinstance(run, Undefined)]
    ends = bootstrap_band(there, generator())
    if isinstance(ends, tuple):
        axes.hlines(mean[1], *ends, color=styles.colour(learner), lw=1.2, alpha=0.6)


def _compared(axes: Axes, data: Curves, plan: Plan, domain: str) -> None:
    """Shade the accuracies at which 3a compares, from the mean of their lowest to their highest."""
    pairs = pairs_of(data, plan, "learner")[domain].values()
    ranges = [common_range(pair) for pair in pairs if isinstance(pair, Pair)]
    ordered = [found for found in ranges if found[0] < found[1]]
    if ordered:
        axes.axhspan(*np.mean(ordered, axis=0), color=_SHADE, zorder=-2, lw=0)
