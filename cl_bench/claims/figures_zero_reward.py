"""Figure of claim 7: training reward and gradient norm where the base earns no reward."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cl_bench.claims.measures_zero_reward import (
    DOMAIN,
    LEARNERS,
    LEVEL,
    WINDOW,
    Training,
    recent,
    training,
)
from cl_bench.metrics.undefined import Undefined

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cl_bench.claims.data import Data
    from cl_bench.claims.plan import Plan
    from cl_bench.metrics.arrays import Array


def draw(data: Data, plan: Plan) -> Figure:
    """Means of ten successive steps of both, against training samples."""
    from cl_bench.claims.panels import legend, lines, panels, percent, say

    runs = {
        learner: [training(data, plan.single(DOMAIN, learner, seed)) for seed in plan.seeds]
        for learner in LEARNERS
    }
    titles = [f"reward on {DOMAIN}", "gradient norm"]
    with panels(titles, (7.6, 3.5)) as (figure, axes):
        reward, gradient = axes
        for learner, found in runs.items():
            lines(reward, learner, [_recent(run, "reward_T") for run in found])
            lines(gradient, learner, [_recent(run, "grad_norm_T") for run in found])
        reward.axhline(LEVEL, color="#888888", lw=0.8, ls=":")
        reward.set_ylabel(f"mean reward of {WINDOW} steps")
        gradient.set_ylabel(f"mean norm of {WINDOW} steps, before clipping")
        percent(reward)
        for panel in axes:
            panel.set_xlabel("training samples")
            if not panel.get_legend_handles_labels()[0]:
                say(panel)
        reward.set_ylim(-0.02, 1.02)
        gradient.set_ylim(bottom=0)
        legend(figure, axes)
    return figure


def _recent(run: Training | Undefined, quantity: str) -> tuple[Array, Array] | Undefined:
    if isinstance(run, Undefined):
        return run
    return run.samples_T[WINDOW - 1 :], recent(getattr(run, quantity))
