"""Claim 6: who learns the later tasks of one uninterrupted stream, and who keeps the first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from cl_bench.claims.by_seed import Columns, Value, detail, mean, measured, minus
from cl_bench.claims.measure import Detail, Measured
from cl_bench.claims.plan import STREAM, STREAM_LEARNERS
from cl_bench.metrics import average_accuracy, normalised_accuracy
from cl_bench.metrics.arrays import Array
from cl_bench.metrics.undefined import Undefined
from cl_bench.plugins import STREAM_SEPARATOR

if TYPE_CHECKING:
    import pandas as pd

    from cl_bench.claims.data import Data
    from cl_bench.claims.plan import Plan
    from cl_bench.sweep.cell import Cell

STAGES = tuple(STREAM.split(STREAM_SEPARATOR))
"""The domain of every stage."""
LAST = len(STAGES)
FIRST_DOMAIN, *LATER_DOMAINS = STAGES


def accuracy_matrix(data: Data, cell: Cell) -> Array | Undefined:
    """R[i, j] of a run on the stream under its own prompts, shape (T+1, T); NaN where missing."""
    acc_I_J = np.full((LAST + 1, LAST), np.nan)
    for place, domain in enumerate(STAGES):
        curve = data.curve(cell, domain)
        if isinstance(curve, Undefined):
            return curve
        ends = curve[curve["at"] != "inside"]
        acc_I_J[ends["stage"], place] = ends["accuracy"]
    return acc_I_J


def stream_metric(data: Data, cell: Cell, metric: Callable[[ArrayLike], Value]) -> Value:
    """A metric of the accuracy matrix of a run on the stream."""
    matrix = accuracy_matrix(data, cell)
    return matrix if isinstance(matrix, Undefined) else metric(matrix)


def normalised_curves(
    data: Data, plan: Plan, domain: str, seed: int
) -> dict[str, pd.DataFrame] | Undefined:
    """By learner its rows on a domain, with the share of the gain in a column `normalised`.

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
        if curve.empty or curve["at"].iloc[0] != "start":
            return Undefined(f"{learner} has no evaluation of {domain} before training")
        curves[learner] = curve
    # Learners may have been evaluated at different points, hence one row of all of them.
    joined = pd.concat(curves)
    acc, inside = joined["accuracy"].to_numpy(), joined["stage"] == STAGES.index(domain) + 1
    share = normalised_accuracy(acc[None], acc[0], inside)
    if isinstance(share, Undefined):
        return Undefined(f"{domain}: {share.reason}")
    joined["normalised"] = share[0]
    return {learner: joined.loc[learner] for learner in STREAM_LEARNERS}


def columns(data: Data, plan: Plan, domain: str, stage: int, seed: int) -> Columns:
    """The normalised accuracy of every learner at a stage's end, and fast-slow training minus RL.

    Not a number among them: all are undefined together where the curves cannot be normalised.
    """
    curves = normalised_curves(data, plan, domain, seed)
    shares: dict[str, Value] = {}
    for learner in STREAM_LEARNERS:
        if isinstance(curves, Undefined):
            shares[learner] = curves
        else:
            shares[learner] = _at_end(curves[learner], domain, stage, "normalised")
    return shares | {"difference": minus(shares["fst"], shares["rl"])}


def later_tasks(data: Data, plan: Plan) -> Measured:
    """6a: normalised, at the end of the task's own stage, mean of the later tasks."""

    def difference(seed: int) -> Value:
        own = {name: STAGES.index(name) + 1 for name in LATER_DOMAINS}
        return mean(
            {
                name: columns(data, plan, name, stage, seed)["difference"]
                for name, stage in own.items()
            }
        )

    details = [
        line
        for stage, domain in enumerate(STAGES[1:], 2)
        for line in (
            _shares(data, plan, domain, stage, "after its stage"),
            _accuracies(data, plan, domain, stage, "after its stage"),
        )
    ]
    return measured(plan.seeds, difference, details)


def first_task(data: Data, plan: Plan) -> Measured:
    """6b: normalised, on the first task at the end of the run."""
    return measured(
        plan.seeds,
        lambda seed: columns(data, plan, FIRST_DOMAIN, LAST, seed)["difference"],
        [
            _shares(data, plan, FIRST_DOMAIN, LAST, "at the end"),
            _accuracies(data, plan, FIRST_DOMAIN, LAST, "at the end"),
        ],
    )


def average(data: Data, plan: Plan) -> Measured:
    """6c: `average_accuracy` of the run's accuracy matrix, in accuracies and not normalised."""

    def of_seed(seed: int) -> Columns:
        reached = {
            learner: stream_metric(data, plan.stream(learner, seed), average_accuracy)
            for learner in STREAM_LEARNERS
        }
        return reached | {"difference": minus(reached["fst"], reached["rl"])}

    details = [
        detail("average accuracy at the end", plan.seeds, of_seed),
        *(_accuracies(data, plan, domain, LAST, "at the end") for domain in STAGES),
    ]
    return measured(plan.seeds, lambda seed: of_seed(seed)["difference"], details)


def _shares(data: Data, plan: Plan, domain: str, stage: int, when: str) -> Detail:
    return detail(
        f"{domain} {when}, share of the peak",
        plan.seeds,
        lambda seed: columns(data, plan, domain, stage, seed),
    )


def _accuracies(data: Data, plan: Plan, domain: str, stage: int, when: str) -> Detail:
    def of_seed(seed: int) -> Columns:
        reached: dict[str, Value] = {}
        for learner in STREAM_LEARNERS:
            curve = data.curve(plan.stream(learner, seed), domain)
            known = isinstance(curve, Undefined)
            reached[learner] = curve if known else _at_end(curve, domain, stage, "accuracy")
        return reached | {"difference": minus(reached["fst"], reached["rl"])}

    return detail(f"{domain} {when}, accuracy", plan.seeds, of_seed)


def _at_end(curve: pd.DataFrame, domain: str, stage: int, column: str) -> Value:
    rows = curve[(curve["at"] == "stage-end") & (curve["stage"] == stage)]
    if rows.empty:
        return Undefined(f"no evaluation of {domain} at the end of stage {stage}")
    return float(rows[column].iloc[0])


MEASURES: Mapping[str, Callable[[Data, Plan], Measured]] = {
    "6a": later_tasks,
    "6b": first_task,
    "6c": average,
}
