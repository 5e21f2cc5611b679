"""The figures of claims 9 and 10: where prompt-only and FST-distill level off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cl_bench.claims import styles
from cl_bench.claims.measure import Curves, Trajectory, generator, trajectory
from cl_bench.claims.plan import PROBE, SINGLE_DOMAINS, Plan
from cl_bench.claims.plateau import last_window, levels, middle_window
from cl_bench.metrics import over_seeds
from cl_bench.metrics.undefined import Undefined

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_LINEAR = 100
"""Rollouts below which the axis of claim 9 is linear; the base spent none."""
_BAR: Any = {"color": "#222222", "lw": 2.6, "solid_capstyle": "butt", "zorder": 4}
_DASHED: Any = {"dashes": (4, 2), "lw": 1.2}


def draw_ceiling(data: Curves, plan: Plan) -> Figure:
    """Claim 9: both learners against all rollouts, one panel per domain.

    The dashed line is prompt-only's plateau, the bars are its middle and last three evaluations.
    """
    from matplotlib.lines import Line2D

    with styles.sheet(1, len(SINGLE_DOMAINS), sharey=True) as (figure, panels):
        for axes, domain in zip(panels, SINGLE_DOMAINS, strict=True):
            axes.set_title(domain)
            axes.set_xlabel("all rollouts")
            for learner in ("prompt", "fst"):
                mean = styles.curves(axes, learner, _runs(data, plan, domain, learner, "rollouts"))
                if learner == "prompt" and mean is not None:
                    _windows(axes, mean, _runs(data, plan, domain, learner, "step"))
                    _plateau(axes, data, plan, domain, "prompt", float(mean[0][-1]))
        panels[0].set_ylabel("accuracy, own prompt")
        styles.finish(panels)
        for axes in panels:
            axes.set_xscale("symlog", linthresh=_LINEAR, linscale=0.4)
            axes.set_xlim(left=0, right=1.3 * axes.dataLim.x1 if axes.lines else None)
            axes.xaxis.set_major_formatter("{x:,.0f}")
        windows = Line2D([], [], label="its middle and last three", **_BAR)
        styles.legend(figure, ("prompt", "fst"), [_plateau_handle(), windows])
        return figure


def draw_distillation(data: Curves, plan: Plan) -> Figure:
    """Claim 10: accuracy and token entropy of both learners against training samples."""
    learners = ("fst", "fst-distill")
    with styles.sheet(1, 2) as (figure, panels):
        for axes, column in zip(panels, ("accuracy", "entropy"), strict=True):
            axes.set_title(PROBE)
            axes.set_xlabel("training samples")
            for learner in learners:
                runs = _runs(data, plan, PROBE, learner, "samples_slow", column)
                mean = styles.curves(axes, learner, runs)
                if mean is not None:
                    _plateau(axes, data, plan, PROBE, learner, float(mean[0][-1]), column)
        panels[0].set_ylabel("accuracy, own prompt")
        panels[1].set_ylabel("entropy, nats per token")
        styles.finish(panels[:1])
        styles.finish(panels[1:], percent=False)
        styles.legend(figure, learners, [_plateau_handle()])
        return figure


def _runs(
    data: Curves, plan: Plan, domain: str, learner: str, across: str, column: str = "accuracy"
) -> list[Trajectory | Undefined]:
    """A column against another, of every seed."""
    cells = [plan.single(domain, learner, seed) for seed in plan.seeds]
    return [trajectory(data, cell, domain, across, column) for cell in cells]


def _plateau(
    axes: Axes,
    data: Curves,
    plan: Plan,
    domain: str,
    learner: str,
    end: float,
    column: str = "accuracy",
) -> None:
    """A dashed line where the plateaus are, mean over seeds, as far as the run goes."""
    plateau = over_seeds(levels(data, plan, domain, learner, column), generator())
    if not isinstance(plateau, Undefined):
        axes.plot([0, end], [plateau.value] * 2, color=styles.colour(learner), **_DASHED)


def _windows(axes: Axes, mean: Trajectory, by_step: Sequence[Trajectory | Undefined]) -> None:
    """A bar over the middle evaluations and one over the last, at the height of their mean."""
    steps = next(run[0] for run in by_step if not isinstance(run, Undefined))
    for at in (middle_window, last_window):
        window = at(steps)
        if not isinstance(window, Undefined):
            across, height = mean[0][window], mean[1][window].mean()
            axes.plot(across[[0, -1]], [height] * 2, **_BAR)


def _plateau_handle() -> Line2D:
    from matplotlib.lines import Line2D

    return Line2D([], [], color="#555555", label="plateau", **_DASHED)
