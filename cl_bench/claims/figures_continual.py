"""Figure of claim 6: normalised accuracy over the three stages of the uninterrupted stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cl_bench.claims.claim_06_continual import LAST, STAGES, normalised_curves
from cl_bench.claims.measure import Trajectory
from cl_bench.claims.panels import counted_curves, percent, say_where_empty
from cl_bench.claims.plan import STREAM_LEARNERS, Plan
from cl_bench.claims.styles import legend, sheet
from cl_bench.metrics.undefined import Undefined

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cl_bench.claims.data import Data


def draw(data: Data, plan: Plan) -> Figure:
    """One panel per domain, its own stage shaded: the share of the peak of every learner.

    Stages are counted as parts of the run, because learners spend their samples in steps of
    different sizes.
    """
    with sheet(LAST, 1, sharex=True) as (figure, axes):
        for panel, (domain, stage) in zip(axes, STAGES.items(), strict=True):
            _draw_domain(data, plan, domain, panel)
            panel.axvspan(stage - 1, stage, color="#e3eaf3", zorder=-2, lw=0)
            panel.set_title(f"{domain} (trained in the shaded stage)")
        axes[-1].set_xticks(range(LAST + 1))
        axes[-1].set_xlim(-0.02, LAST + 0.02)
        axes[-1].set_xlabel("stages trained through")
        axes[LAST // 2].set_ylabel("gain over the base, own prompt: share of the best in the stage")
        say_where_empty(axes)
        legend(figure, STREAM_LEARNERS)
    return figure


def _draw_domain(data: Data, plan: Plan, domain: str, panel: Axes) -> None:
    found = [normalised_curves(data, plan, domain, seed) for seed in plan.seeds]
    for learner in STREAM_LEARNERS:
        seeds = [of if isinstance(of, Undefined) else _points(of[learner]) for of in found]
        counted_curves(panel, learner, seeds)
    percent(panel)


def _points(curve: pd.DataFrame) -> Trajectory:
    """How many stages were trained through, and the share of the peak, at every evaluation."""
    step = curve["step"].to_numpy(float)
    return step / step[-1] * LAST, curve["normalised"].to_numpy(float)
