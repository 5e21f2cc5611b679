"""The figure of claim 1: the best accuracy so far against training samples, with an arrow from
RL's samples at its peak to those of fast-slow training at the same level."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cl_bench.claims import look
from cl_bench.claims.measure import Curves, Trajectory, trajectory
from cl_bench.claims.measures_efficiency import Race, races
from cl_bench.claims.plan import SINGLE_DOMAINS, Plan
from cl_bench.metrics.undefined import Undefined

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(data: Curves, plan: Plan) -> Figure:
    """One panel per domain; the arrow's ratio is the measured one, with all seeds that have one."""
    with look.sheet(1, len(SINGLE_DOMAINS), sharey=True) as (figure, panels):
        for axes, domain in zip(panels, SINGLE_DOMAINS, strict=True):
            axes.set_title(domain)
            axes.set_xlabel("training samples")
            for learner in ("rl", "fst"):
                look.curves(
                    axes, learner, [_best(data, plan, domain, learner, s) for s in plan.seeds]
                )
            _arrow(axes, [r for r in races(data, plan, domain).values() if isinstance(r, Race)])
        panels[0].set_ylabel("best accuracy so far, own prompt")
        look.finish(panels)
        look.legend(figure, ("rl", "fst"))
        return figure


def _best(data: Curves, plan: Plan, domain: str, learner: str, seed: int) -> Trajectory | Undefined:
    cell = plan.single(domain, learner, seed)
    run = trajectory(data, cell, domain, "samples_slow", "accuracy")
    return run if isinstance(run, Undefined) else (run[0], np.maximum.accumulate(run[1]))


def _arrow(axes: Axes, found: list[Race]) -> None:
    """From RL's samples to those of fast-slow training, geometric means, at RL's mean peak."""
    if not found:
        return
    level = float(np.mean([race.level for race in found]))
    rl, fst = (
        float(np.exp(np.mean(np.log(samples))))
        for samples in ([race.rl for race in found], [race.fst for race in found])
    )
    arrow = {"arrowstyle": "-|>", "color": "#222222", "lw": 1.4, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", xy=(fst, level), xytext=(rl, level), arrowprops=arrow, zorder=4)
    bound = "" if all(race.reached for race in found) else "≤ "
    axes.annotate(
        f"{bound}{rl / fst:.2g}×",
        xy=((rl * fst) ** 0.5, level),
        xytext=(0, 4),
        textcoords="offset points",
        ha="center",
        weight="bold",
    )
