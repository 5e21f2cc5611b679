"""Measuring: from the tables of a plan's runs to the value of a statement, seed by seed.

A measure reads the tables of a plan's runs and nothing else. A value that cannot be had is
`Undefined` with its reason: a missing, failed or diverged run is never left out and never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from cl_bench.analysis.paired import BySeed, PairedDifference
from cl_bench.claims.plan import Domains, Plan
from cl_bench.metrics import over_seeds
from cl_bench.metrics.arrays import Array
from cl_bench.metrics.stats.student import Estimate, as_ratio
from cl_bench.metrics.undefined import Undefined, mean_of
from cl_bench.sweep.cell import Cell

if TYPE_CHECKING:
    from cl_bench.claims.data import Data

Trajectory = tuple[Array, Array]
"""Two columns of a learning curve, such as accuracies and samples."""
Trajectories = Mapping[int, Trajectory | Undefined]
"""By seed."""
Scale = Literal["accuracy", "points", "nats", "ratio", "samples", "plain"]
"""Unit of a detail; `points` are differences of accuracies."""
WINDOW = 3
"""Evaluations that a plateau averages."""
Here = TypeVar("Here")
There = TypeVar("There")


@dataclass(frozen=True)
class Detail:
    """One line behind a statement: a domain, an origin or a cell of the comparison."""

    what: str
    """`code`, `after math`, …"""
    values: Mapping[str, Estimate | Undefined]
    """By learner, or `difference`, `ratio`, …: the mean over seeds. Ratios are not logarithms here,
    their mean is the geometric one."""
    scale: Scale


@dataclass(frozen=True)
class MeasuredStatement:
    """The value that the runs give one statement, and the lines behind it."""

    value_by_seed: BySeed
    """On the statement's scale, log2 for ratios; empty where only a fit over all seeds has one."""
    estimate: Estimate | Undefined
    """Mean over seeds and its interval, on the same scale."""
    details: tuple[Detail, ...]
    notes: tuple[str, ...] = ()
    """Sentences that a reader needs beside the numbers."""


@dataclass(frozen=True)
class Added:
    """Lines and notes that the page shows beside one statement and no rule judges.

    They were added after the runs, to explain what the judged value does not show.
    """

    details: tuple[Detail, ...] = ()
    notes: tuple[str, ...] = ()


def measured(
    value_by_seed: BySeed, details: Sequence[Detail], notes: Sequence[str] = ()
) -> MeasuredStatement:
    """The statement whose estimate is the mean over seeds."""
    return MeasuredStatement(value_by_seed, over_seeds(value_by_seed), tuple(details), tuple(notes))


def detail(what: str, values: Mapping[str, BySeed], scale: Scale = "accuracy") -> Detail:
    """The means over seeds of values that were measured seed by seed; ratios come as log2."""
    means = {name: over_seeds(by_seed) for name, by_seed in values.items()}
    if scale == "ratio":
        means = {name: as_ratio(mean) for name, mean in means.items()}
    return Detail(what, means, scale)


def averaged(
    parts: Mapping[str, Mapping[str, BySeed]], column: str, scale: Scale = "accuracy"
) -> MeasuredStatement:
    """The statement that is the mean of one column over the parts, each of which has a detail."""
    details = [detail(what, values, scale) for what, values in parts.items()]
    return measured(mean_over({what: values[column] for what, values in parts.items()}), details)


def difference(first: BySeed, second: BySeed) -> BySeed:
    """First minus second, seed by seed; undefined where one is, with the first reason."""
    return PairedDifference(first, second).by_seed


def with_difference(
    values: Mapping[str, BySeed], first: str = "fst", second: str = "rl"
) -> Mapping[str, BySeed]:
    """The values of learners, and the `difference` of the first to the second."""
    return {**values, "difference": difference(values[first], values[second])}


def mean_over(parts: Mapping[str, BySeed]) -> BySeed:
    """The mean over domains (or origins, …), seed by seed.

    A seed without a value in one of them has no mean: the reason says where and why.
    """
    seeds = next(iter(parts.values()))
    return {
        seed: mean_of(_from(name, values[seed]) for name, values in parts.items()) for seed in seeds
    }


def _from(name: str, value: float | Undefined) -> float | Undefined:
    """A value; a reason with where it is from."""
    return Undefined(f"{name}: {value.reason}") if isinstance(value, Undefined) else value


def each(
    found: Mapping[int, Here | Undefined], value: Callable[[Here], There | Undefined]
) -> Mapping[int, There | Undefined]:
    """A value of everything that there is, by seed; elsewhere the reason stays."""
    return {s: one if isinstance(one, Undefined) else value(one) for s, one in found.items()}


def pairs(
    first: Mapping[int, Here | Undefined], second: Mapping[int, There | Undefined]
) -> Mapping[int, tuple[Here, There] | Undefined]:
    """Both of every seed; undefined where one is, with the first reason."""

    def pair(one: Here | Undefined, other: There | Undefined) -> tuple[Here, There] | Undefined:
        if isinstance(one, Undefined):
            return one
        return other if isinstance(other, Undefined) else (one, other)

    return {seed: pair(one, second[seed]) for seed, one in first.items()}


def defined(found: Mapping[int, Here | Undefined]) -> list[Here]:
    """Everything that there is."""
    return [one for one in found.values() if not isinstance(one, Undefined)]


def on_stream(
    data: Data, plan: Plan, learner: str, metric: Callable[[ArrayLike], float | Undefined]
) -> BySeed:
    """A metric of the accuracy matrices of a learner's runs on the stream."""
    cells = plan.stream_runs(learner)
    matrices = {
        seed: data.accuracy_matrix(cell, plan.subject.stages) for seed, cell in cells.items()
    }
    return each(matrices, metric)


def trajectories(
    data: Data,
    cells: Mapping[int, Cell],
    domain: str,
    first: str,
    second: str = "accuracy",
    *,
    prompt: str = "learner",
    peaks: bool = False,
) -> Trajectories:
    """Two columns of the runs' evaluations on a domain, each of shape (P,), in the order of steps;
    with `peaks` on validation problems, where there are any.

    Undefined with the run's reason, or naming the first value that is not finite.
    """

    def of(cell: Cell) -> Trajectory | Undefined:
        curve = data.curve(cell, domain, prompt=prompt, peaks=peaks)
        if isinstance(curve, Undefined):
            return curve
        curve = curve.sort_values("step")
        for column in (first, second):
            broken_P = ~np.isfinite(curve[column].to_numpy(dtype=np.float64))
            if broken_P.any():
                step = curve["step"].to_numpy()[broken_P][0]
                return Undefined(f"{column} of run {cell.name} is not finite at step {step}")
        return curve[first].to_numpy(dtype=np.float64), curve[second].to_numpy(dtype=np.float64)

    return {seed: of(cell) for seed, cell in cells.items()}


def last_window(step_P: Array) -> slice | Undefined:
    """Which evaluations are the plateau: the last three; undefined where there are fewer."""
    if len(step_P) < WINDOW:
        return Undefined(f"a plateau needs {WINDOW} evaluations, got {len(step_P)}")
    return slice(len(step_P) - WINDOW, len(step_P))


def levels(
    data: Data,
    cells: Mapping[int, Cell],
    domain: str,
    column: str = "accuracy",
    *,
    at: Callable[[Array], slice | Undefined] = last_window,
) -> BySeed:
    """The mean of a column over a window of each run, by default of its plateau, under the
    learner's own prompt."""

    def level(run: Trajectory) -> float | Undefined:
        window = at(run[0])
        return window if isinstance(window, Undefined) else float(run[1][window].mean())

    return each(trajectories(data, cells, domain, "step", column), level)


def compare_plateaus(
    data: Data,
    plan: Plan,
    domains: Domains,
    learners: tuple[str, str],
    column: str = "accuracy",
    scale: Scale = "accuracy",
) -> MeasuredStatement:
    """The plateau of the first learner minus that of the second, mean over domains."""
    found = {}
    for domain in domains(plan.subject):
        values = {
            name: levels(data, plan.single_runs(domain, name), domain, column) for name in learners
        }
        found[domain] = with_difference(values, *learners)
    return averaged(found, "difference", scale)
