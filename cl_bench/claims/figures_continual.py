"""Figure of claim 6: normalised accuracy over the three stages of the uninterrupted stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cl_bench.claims.measures_continual import LAST, STAGES, normalised_curves
from cl_bench.claims.plan import STREAM_LEARNERS
from cl_bench.metrics.undefined import Undefined

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cl_bench.claims.data import Data
    from cl_bench.claims.plan import Plan
    from cl_bench.metrics.arrays import Array


def draw(data: Data, plan: Plan) -> Figure:
    """One panel per domain, its own stage shaded: the share of the peak of every learner.

    Stages are counted as parts of the run, because learners spend their samples in steps of
    different sizes.
    """
    from cl_bench.claims.panels import legend, panels, percent

    titles = [f"{domain} (trained in stage {stage})" for stage, domain in enumerate(STAGES, 1)]
    shared = {"stacked": True, "sharex": True}
    with panels(titles, (7.0, 6.6), **shared) as (figure, axes):
        for stage, (domain, panel) in enumerate(zip(STAGES, axes, strict=True), 1):
            _draw_domain(data, plan, domain, panel)
            panel.axvspan(stage - 1, stage, color="#dfe7f1", zorder=-2, lw=0)
            percent(panel)
        axes[-1].set_xticks(range(LAST + 1))
        axes[-1].set_xlim(0, LAST)
        axes[-1].set_xlabel("stages trained through")
        figure.supylabel("accuracy, own prompt: share of the peak above the base", fontsize=9)
        legend(figure, axes)
    return figure


def _draw_domain(data: Data, plan: Plan, domain: str, panel: Axes) -> None:
    from cl_bench.claims.panels import lines, say

    by_seed = [normalised_curves(data, plan, domain, seed) for seed in plan.seeds]
    if all(isinstance(curves, Undefined) for curves in by_seed):
        say(panel)
    for learner in STREAM_LEARNERS:
        lines(
            panel,
            learner,
            [c if isinstance(c, Undefined) else _points(c[learner]) for c in by_seed],
        )
    for level in (0.0, 1.0):
        panel.axhline(level, color="#888888", lw=0.8, ls=":", zorder=-1)


def _points(curve: pd.DataFrame) -> tuple[Array, Array]:
    """How many stages were trained through, and the share of the peak, at every evaluation."""
    steps = curve["step"].to_numpy(float)
    return steps / steps.max() * LAST, curve["normalised"].to_numpy(float)
