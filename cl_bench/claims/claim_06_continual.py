"""Claim 6: who learns the later tasks of one uninterrupted stream, and who keeps the first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING

from cl_bench.analysis.paired import BySeed
from cl_bench.claims.claim import Claim, Registered, measurement, paper_figure
from cl_bench.claims.measure import (
    Detail,
    MeasuredStatement,
    Trajectory,
    detail,
    each,
    mean_over,
    measured,
    on_stream,
    with_difference,
)
from cl_bench.claims.plan import Plan, streams
from cl_bench.claims.rule import Statement
from cl_bench.claims.styles import curves, legend, say_where_empty, sheet
from cl_bench.claims.subject import Subject
from cl_bench.metrics import average_accuracy, normalised_accuracy
from cl_bench.metrics.quantities import SHARE
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks import drawings

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cl_bench.claims.data import Data

REGISTERED = Registered(
    6,
    "continual",
    "In one uninterrupted run, fast-slow training learns the later tasks better than RL",
    "Stream $stream, boundaries hidden. Accuracy (own prompt) normalised: minus "
    "the base, over the best that any learner of the comparison (rl, prompt, fst) reached in "
    "that task's own stage, same seed, minus the base. Undefined on a task on which none of "
    "them gained 0.05 over the base: a share of next to nothing says nothing.",
    (
        paper_figure("CodeIO after its stage, share of peak", RL="≈ 10", FST="≈ 95"),
        paper_figure("CodeIO after its stage, accuracy", RL="20.7", FST="37.7"),
        paper_figure("Physics at the end, share of peak", RL="≈ 92", FST="100"),
        paper_figure("HoVer at the end, share of peak", RL="≈ 95–98", FST="≈ 95–98"),
    ),
    (
        Statement(
            "6a",
            "fast-slow training minus RL at the end of the task's own stage, $later",
            0.0,
            0.05,
        ),
        Statement(
            "6b",
            "fast-slow training minus RL on $first at the end of the run (no worse)",
            -0.05,
            -0.05,
            primary=False,
        ),
        Statement(
            "6c",
            "average accuracy at the end of the run, fast-slow training minus RL",
            0.0,
            0.02,
            primary=False,
        ),
    ),
)


STREAM_LEARNERS = ("rl", "prompt", "fst")
LEAST_GAIN = 0.05
"""Accuracy over the base that the best learner needs, for shares of it to say anything."""
ByLearner = Mapping[str, "pd.DataFrame"]
"""By learner its evaluations on a domain, in order, with the column `normalised`."""


def own_stages(subject: Subject) -> Mapping[str, int]:
    """By domain the number of its own stage."""
    return {name: number for number, name in enumerate(subject.stages, 1)}


def later_stages(subject: Subject) -> Mapping[str, int]:
    """By domain the number of its own stage, of all but the first."""
    return {name: number for name, number in own_stages(subject).items() if number > 1}


def first_at_last(subject: Subject) -> Mapping[str, int]:
    """The first domain at the end of the last stage."""
    return {subject.stages[0]: len(subject.stages)}


def shares_at_ends(
    data: Data, plan: Plan, stages: Callable[[Subject], Mapping[str, int]], when: str
) -> MeasuredStatement:
    """Normalised, fast-slow training minus RL, mean over domains at the ends of these stages."""
    gains, details = {}, []
    for domain, stage in stages(plan.subject).items():
        columns = with_difference(shares(data, plan, domain, stage))
        gains[domain] = columns["difference"]
        details.append(detail(f"{domain} {when}, share of the peak", columns))
        details.append(_accuracies(data, plan, domain, stage, when))
    return measured(mean_over(gains), details)


def average(data: Data, plan: Plan) -> MeasuredStatement:
    """`average_accuracy` of the run's accuracy matrix: of accuracies, not normalised."""
    values = {name: on_stream(data, plan, name, average_accuracy) for name in STREAM_LEARNERS}
    columns = with_difference(values)
    stages = plan.subject.stages
    ends = [_accuracies(data, plan, domain, len(stages), "at the end") for domain in stages]
    line = detail("average accuracy at the end", columns)
    return measured(columns["difference"], [line, *ends])


def _accuracies(data: Data, plan: Plan, domain: str, stage: int, when: str) -> Detail:
    values = {
        learner: {
            seed: data.cell_accuracy(cell, domain, at=stage)
            for seed, cell in plan.stream_runs(learner).items()
        }
        for learner in STREAM_LEARNERS
    }
    return detail(f"{domain} {when}, accuracy", with_difference(values))


def normalised_curves(data: Data, plan: Plan, domain: str, seed: int) -> ByLearner | Undefined:
    """The curves of all learners on a domain, with the share of the gain.

    (accuracy − base) / (peak − base): the base is step 0, which is the same for all learners, the
    peak the best of all of them in the domain's own stage. Undefined if one of them has no run, as
    the best of fewer would flatter the others.
    """
    import pandas as pd

    curves = {}
    for learner in STREAM_LEARNERS:
        curve = data.curve(plan.stream(learner, seed), domain)
        if isinstance(curve, Undefined):
            return curve
        if curve["at"].iloc[0] != "start":
            return Undefined(f"{learner} has no evaluation of {domain} before training")
        curves[learner] = curve
    # Learners may have been evaluated at different points, hence one row with those of all.
    joined = pd.concat(curves)
    acc, inside = (
        joined["accuracy"].to_numpy(),
        (joined["stage"] == own_stages(plan.subject)[domain]).to_numpy(),
    )
    gain = acc[inside].max(initial=acc[0]) - acc[0]
    if inside.any() and gain < LEAST_GAIN:
        least, best = map(SHARE.distance.text, (LEAST_GAIN, gain))
        return Undefined(f"no learner gained {least} on {domain}; the best gained {best}")
    share = normalised_accuracy(acc[None], acc[0], inside)
    if isinstance(share, Undefined):
        return share
    joined["normalised"] = share[0]
    return {learner: joined.loc[learner] for learner in STREAM_LEARNERS}


def shares(data: Data, plan: Plan, domain: str, stage: int) -> Mapping[str, BySeed]:
    """By learner the normalised accuracy on a domain at a stage's end."""
    curves = {seed: normalised_curves(data, plan, domain, seed) for seed in plan.seeds}
    return {
        learner: each(each(curves, itemgetter(learner)), partial(_at_end, stage=stage))
        for learner in STREAM_LEARNERS
    }


def _at_end(curve: pd.DataFrame, stage: int) -> float | Undefined:
    rows = curve[(curve["at"] == "stage-end") & (curve["stage"] == stage)]
    if rows.empty:
        return Undefined(f"no evaluation at the end of stage {stage}")
    return float(rows["normalised"].iloc[0])


# The figure


def draw(data: Data, plan: Plan) -> Figure:
    """One panel per domain, its own stage shaded: the share of the peak of every learner.

    Stages are counted as parts of the run, because learners spend their samples in steps of
    different sizes.
    """
    stages = own_stages(plan.subject)
    last = len(stages)
    with sheet(last, 1, sharex=True) as (figure, axes):
        for panel, (domain, stage) in zip(axes, stages.items(), strict=True):
            _draw_domain(data, plan, domain, panel)
            panel.axvspan(stage - 1, stage, color="#e3eaf3", zorder=-2, lw=0)
            panel.set_title(f"{domain} (trained in the shaded stage)")
        axes[-1].set_xticks(range(last + 1))
        axes[-1].set_xlim(-0.02, last + 0.02)
        axes[-1].set_xlabel("stages trained through")
        axes[last // 2].set_ylabel("gain over the base, own prompt: share of the best in the stage")
        say_where_empty(axes)
        legend(figure, STREAM_LEARNERS)
    return figure


def _draw_domain(data: Data, plan: Plan, domain: str, panel: Axes) -> None:
    found = {seed: normalised_curves(data, plan, domain, seed) for seed in plan.seeds}
    through = partial(_points, stages=len(plan.subject.stages))
    for learner in STREAM_LEARNERS:
        points = each(each(found, itemgetter(learner)), through)
        curves(panel, learner, points, counted=True)
    drawings.in_percent(panel.yaxis)


def _points(curve: pd.DataFrame, stages: int) -> Trajectory:
    """How many stages were trained through, and the share of the peak, at every evaluation."""
    step = curve["step"].to_numpy(float)
    return step / step[-1] * stages, curve["normalised"].to_numpy(float)


CLAIM = Claim(
    REGISTERED,
    runs=streams(STREAM_LEARNERS),
    measurements={
        "6a": measurement(
            "FST − RL, share of the peak after the task's own stage",
            shares_at_ends,
            stages=later_stages,
            when="after its stage",
        ),
        "6b": measurement(
            "FST − RL, share of the peak on the first task at the end",
            shares_at_ends,
            stages=first_at_last,
            when="at the end",
        ),
        "6c": measurement("FST − RL, average accuracy at the end", average),
    },
    figure=draw,
)
