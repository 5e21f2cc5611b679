"""The figure of claim 1: the best accuracy so far against training samples, with an arrow for every
seed from RL's samples at its peak to those of fast-slow training at the same level."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cl_bench.claims import styles
from cl_bench.claims.claim_01_sample_efficiency import Race, races
from cl_bench.claims.measure import Curves, Trajectory, trajectory
from cl_bench.claims.plan import SINGLE_DOMAINS, Plan
from cl_bench.metrics.undefined import Undefined

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(data: Curves, plan: Plan) -> Figure:
    """One panel per domain; the ratio is the measured one, of all seeds that have one."""
    from matplotlib.lines import Line2D

    with styles.sheet(1, len(SINGLE_DOMAINS), sharey=True) as (figure, panels):
        for axes, domain in zip(panels, SINGLE_DOMAINS, strict=True):
            axes.set_title(domain)
            axes.set_xlabel("training samples")
            for learner in ("rl", "fst"):
                styles.curves(
                    axes, learner, [_best(data, plan, domain, learner, s) for s in plan.seeds]
                )
            _arrows(axes, [r for r in races(data, plan, domain).values() if isinstance(r, Race)])
        panels[0].set_ylabel("best accuracy so far, own prompt")
        styles.finish(panels)
        arrow = Line2D(
            [], [], color="#222222", marker="<", lw=0.8, ms=4, label="to RL's peak, a seed"
        )
        styles.legend(figure, ("rl", "fst"), [arrow])
        return figure


def _best(data: Curves, plan: Plan, domain: str, learner: str, seed: int) -> Trajectory | Undefined:
    cell = plan.single(domain, learner, seed)
    run = trajectory(data, cell, domain, "samples_slow", "accuracy")
    return run if isinstance(run, Undefined) else (run[0], np.maximum.accumulate(run[1]))


def _arrows(axes: Axes, found: list[Race]) -> None:
    """Every seed from RL's samples to those of fast-slow training, at the level of RL's peak.

    In the corner stands the measured ratio, the geometric mean; it is a bound where a run of
    fast-slow training never gets there and its arrow ends with the run.
    """
    if not found:
        return
    arrow = {"arrowstyle": "-|>", "color": "#222222", "lw": 0.8, "shrinkA": 0, "shrinkB": 0}
    for race in found:
        axes.annotate(
            "", xy=(race.fst, race.level), xytext=(race.rl, race.level), arrowprops=arrow, zorder=4
        )
    ratio = float(np.exp2(np.mean([race.log_ratio for race in found])))
    short = sum(not race.reached for race in found)
    said = f"RL ÷ FST: {ratio:.2g}×"
    if short:
        said = f"RL ÷ FST: at most {ratio:.2g}×\n(FST never there: {short} of {len(found)})"
    axes.text(0.97, 0.04, said, transform=axes.transAxes, ha="right", va="bottom")
