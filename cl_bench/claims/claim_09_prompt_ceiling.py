"""Claim 9: where prompt optimisation alone levels off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import TYPE_CHECKING, Any

import numpy as np

from cl_bench.analysis.paired import BySeed
from cl_bench.claims import styles
from cl_bench.claims.claim import Claim, Measurement, Registered, paper_figure
from cl_bench.claims.measure import (
    Added,
    Curves,
    MeasuredStatement,
    Trajectory,
    detail,
    difference,
    generator,
    mean_over,
    measured,
    trajectories,
    trajectory,
)
from cl_bench.claims.plan import SINGLE_DOMAINS, Plan, singles
from cl_bench.claims.plateau import (
    WINDOW,
    compare_plateaus,
    draw_plateau,
    last_window,
    levels,
    plateau_handle,
)
from cl_bench.claims.rule import Statement
from cl_bench.metrics.arrays import Array
from cl_bench.metrics.quantities import ROLLOUTS
from cl_bench.metrics.undefined import Undefined

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REGISTERED = Registered(
    9,
    "prompt-ceiling",
    "Prompt optimisation alone hits a ceiling",
    "Single runs on facts, code and math (own prompts). The plateau of a prompt-only run, and "
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


def plateau_above_prompt_only(data: Curves, plan: Plan) -> MeasuredStatement:
    """9a: accuracy, fast-slow training minus prompt-only."""
    return compare_plateaus(data, plan, SINGLE_DOMAINS, ("fst", "prompt"))


def second_half(data: Curves, plan: Plan) -> MeasuredStatement:
    """9b: minus what prompt-only gained between the middle and the end of its run."""
    rng = generator()
    losses, details = {}, []
    for domain in SINGLE_DOMAINS:
        middle = levels(data, plan, domain, "prompt", at=middle_window)
        end = levels(data, plan, domain, "prompt")
        losses[domain] = difference(middle, end)
        values = {"middle": middle, "end": end, "gain": difference(end, middle)}
        details.append(detail(f"{domain}, prompt-only", values, rng))
    return measured(mean_over(losses), details, rng)


def middle_window(step_P: Array) -> slice | Undefined:
    """Which evaluations are the middle: the one nearest to half of the steps and its neighbours.

    Of two as near it is the earlier. Undefined if one of the three belongs to the plateau.
    """
    nearest = int(np.abs(step_P - step_P[-1] / 2).argmin())
    if nearest < 1 or nearest + 1 >= len(step_P) - WINDOW:
        return Undefined(f"of {len(step_P)} evaluations the middle three are not before the last")
    return slice(nearest - 1, nearest + 2)


# Added after the runs, beside the judged values

LEARNERS = ("prompt", "fst")


def rollouts(data: Curves, plan: Plan) -> Added:
    """9a: all rollouts of both at the end of their runs."""
    spent = {domain: _spent(data, plan, domain) for domain in SINGLE_DOMAINS}
    details = [
        detail(f"{domain}, all rollouts of a run", values, scale="samples")
        for domain, values in spent.items()
    ]
    totals = [_known([of[name] for of in spent.values()]) for name in LEARNERS]
    if not all(totals):
        return Added(tuple(details))
    prompt, fst = map(mean, totals)
    note = (
        f"9a compares plateaus after unequal costs: about {ROLLOUTS.text(prompt)} rollouts of "
        f"prompt-only with {ROLLOUTS.text(fst)} of fast-slow training"
    )
    return Added(tuple(details), (note,))


def _known(parts: Sequence[BySeed]) -> list[float]:
    values = [value for part in parts for value in part.values()]
    return [value for value in values if not isinstance(value, Undefined)]


def _spent(data: Curves, plan: Plan, domain: str) -> Mapping[str, BySeed]:
    def last(learner: str, seed: int) -> float | Undefined:
        run = trajectory(data, plan.single(domain, learner, seed), domain, "step", "rollouts")
        return run if isinstance(run, Undefined) else float(run[1][-1])

    return {name: {seed: last(name, seed) for seed in plan.seeds} for name in LEARNERS}


# The figure

_LINEAR = 100
"""Rollouts below which the axis is linear; the base spent none."""
_BAR: Any = {"color": "#222222", "lw": 2.6, "solid_capstyle": "butt", "zorder": 4}


def draw(data: Curves, plan: Plan) -> Figure:
    """Both learners against all rollouts, one panel per domain.

    The dashed line is prompt-only's plateau, the bars are its middle and last three evaluations.
    """
    from matplotlib.lines import Line2D

    with styles.sheet(1, len(SINGLE_DOMAINS), sharey=True) as (figure, panels):
        for axes, domain in zip(panels, SINGLE_DOMAINS, strict=True):
            axes.set_title(domain)
            axes.set_xlabel("all rollouts")
            for learner in ("prompt", "fst"):
                mean = styles.curves(
                    axes, learner, trajectories(data, plan, domain, learner, "rollouts")
                )
                if learner == "prompt" and mean is not None:
                    _windows(axes, mean, trajectories(data, plan, domain, learner, "step"))
                    draw_plateau(axes, data, plan, domain, "prompt", float(mean[0][-1]))
        panels[0].set_ylabel("accuracy, own prompt")
        styles.finish(panels)
        for axes in panels:
            axes.set_xscale("symlog", linthresh=_LINEAR, linscale=0.4)
            axes.set_xlim(left=0, right=1.3 * axes.dataLim.x1 if axes.lines else None)
            axes.xaxis.set_major_formatter("{x:,.0f}")
        windows = Line2D([], [], label="its middle and last three", **_BAR)
        styles.legend(figure, ("prompt", "fst"), [plateau_handle(), windows])
        return figure


def _windows(axes: Axes, mean: Trajectory, by_step: Sequence[Trajectory | Undefined]) -> None:
    """A bar over the middle evaluations and one over the last, at the height of their mean."""
    steps = next(run[0] for run in by_step if not isinstance(run, Undefined))
    for at in (middle_window, last_window):
        window = at(steps)
        if not isinstance(window, Undefined):
            across, height = mean[0][window], mean[1][window].mean()
            axes.plot(across[[0, -1]], [height] * 2, **_BAR)


CLAIM = Claim(
    REGISTERED,
    runs=singles(SINGLE_DOMAINS, LEARNERS),
    measurements={
        "9a": Measurement("FST − prompt-only, plateau", plateau_above_prompt_only, rollouts),
        "9b": Measurement("prompt-only, middle − end of its run", second_half),
    },
    figure=draw,
)
