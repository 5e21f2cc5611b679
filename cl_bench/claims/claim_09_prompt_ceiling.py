"""Claim 9: where prompt optimisation alone levels off."""

from __future__ import annotations

from statistics import mean
from typing import TYPE_CHECKING, Any

import numpy as np

from cl_bench.analysis.paired import known
from cl_bench.claims import styles
from cl_bench.claims.claim import Claim, Registered, measurement, paper_figure
from cl_bench.claims.measure import (
    WINDOW,
    Added,
    MeasuredStatement,
    Trajectory,
    compare_plateaus,
    defined,
    detail,
    difference,
    each,
    last_window,
    levels,
    mean_over,
    measured,
    trajectories,
)
from cl_bench.claims.plan import Plan, on_singles, singles
from cl_bench.claims.rule import Statement
from cl_bench.metrics.arrays import Array
from cl_bench.metrics.quantities import ROLLOUTS
from cl_bench.metrics.undefined import Undefined

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cl_bench.claims.data import Data

REGISTERED = Registered(
    9,
    "prompt-ceiling",
    "Prompt optimisation alone hits a ceiling",
    "Single runs on $singles (own prompts). The plateau of a prompt-only run, and "
    "what it gained since the middle: the mean of its last three evaluations minus the mean of "
    "the three around the middle.",
    (paper_figure("GEPA alone", CodeIO="34.5", Math="20.3", HoVer="10.6"),),
    (
        Statement("9a", "plateau of fast-slow training minus that of prompt-only", 0.0, 0.05),
        Statement(
            "9b",
            "minus the gain of prompt-only in the second half (it gains less than 0.05)",
            -0.05,
            -0.05,
        ),
    ),
)


LEARNERS = ("prompt", "fst")


def second_half(data: Data, plan: Plan) -> MeasuredStatement:
    """Minus what prompt-only gained between the middle and the end of its run."""
    losses, details = {}, []
    for domain in plan.subject.singles:
        cells = plan.single_runs(domain, "prompt")
        middle, end = (levels(data, cells, domain, at=at) for at in (middle_window, last_window))
        losses[domain] = difference(middle, end)
        values = {"middle": middle, "end": end, "gain": difference(end, middle)}
        details.append(detail(f"{domain}, prompt-only", values))
    return measured(mean_over(losses), details)


def middle_window(step_P: Array) -> slice | Undefined:
    """Which evaluations are the middle: the one nearest to half of the steps and its neighbours.

    Of two as near it is the earlier. Undefined if one of the three belongs to the plateau.
    """
    nearest = int(np.abs(step_P - step_P[-1] / 2).argmin())
    if nearest < 1 or nearest + 1 >= len(step_P) - WINDOW:
        return Undefined(f"of {len(step_P)} evaluations the middle three are not before the last")
    return slice(nearest - 1, nearest + 2)


# Added after the runs, beside the judged values


def rollouts(data: Data, plan: Plan) -> Added:
    """All rollouts of both learners at the end of their runs."""
    details = []
    totals: dict[str, list[float]] = {name: [] for name in LEARNERS}
    for domain in plan.subject.singles:
        spent = {}
        for name in LEARNERS:
            runs = trajectories(data, plan.single_runs(domain, name), domain, "step", "rollouts")
            spent[name] = each(runs, lambda run: float(run[1][-1]))
            totals[name] += known(spent[name])
        details.append(detail(f"{domain}, all rollouts of a run", spent, "samples"))
    if not all(totals.values()):
        return Added(tuple(details))
    prompt, fst = map(mean, totals.values())
    note = (
        f"9a compares plateaus after unequal costs: about {ROLLOUTS.text(prompt)} rollouts of "
        f"prompt-only with {ROLLOUTS.text(fst)} of fast-slow training"
    )
    return Added(tuple(details), (note,))


# The figure

_LINEAR = 100
"""Rollouts below which the axis is linear; the base spent none."""
_BAR: Any = {"color": styles.DARK, "lw": 2.6, "solid_capstyle": "butt", "zorder": 4}


def draw(data: Data, plan: Plan) -> Figure:
    """Both learners against all rollouts, one panel per domain.

    The dashed line is prompt-only's plateau, the bars are its middle and last three evaluations.
    """

    def draw_domain(axes: Axes, domain: str) -> None:
        for learner in LEARNERS:
            cells = plan.single_runs(domain, learner)
            mean = styles.curves(axes, learner, trajectories(data, cells, domain, "rollouts"))
            if learner == "prompt" and mean is not None:
                step_P = defined(trajectories(data, cells, domain, "step"))[0][0]
                _windows(axes, mean, step_P)
                styles.level(axes, learner, levels(data, cells, domain), float(mean[0][-1]))

    def set_axis(axes: Axes) -> None:
        styles.logarithmic(axes, _LINEAR, "{x:,.0f}")
        axes.set_xlim(right=1.3 * axes.dataLim.x1 if axes.lines else None)

    return styles.panels(
        plan.subject.singles,
        draw_domain,
        across="all rollouts",
        upwards="accuracy, own prompt",
        learners=LEARNERS,
        handles=[styles.plateau(), styles.handle("its middle and last three", **_BAR)],
        then=set_axis,
    )


def _windows(axes: Axes, mean: Trajectory, step_P: Array) -> None:
    """A bar over the middle evaluations and one over the last, at the height of their mean."""
    for at in (middle_window, last_window):
        window = at(step_P)
        if not isinstance(window, Undefined):
            across, height = mean[0][window], mean[1][window].mean()
            axes.plot(across[[0, -1]], [height] * 2, **_BAR)


CLAIM = Claim(
    REGISTERED,
    runs=singles(LEARNERS),
    measurements={
        "9a": measurement(
            "FST − prompt-only, plateau",
            compare_plateaus,
            rollouts,
            domains=on_singles,
            learners=("fst", "prompt"),
        ),
        "9b": measurement("prompt-only, middle − end of its run", second_half),
    },
    figure=draw,
)
