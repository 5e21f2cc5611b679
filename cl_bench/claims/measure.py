"""What a measure is: the value that the runs give a statement, seed by seed, and what lies behind.

A measure reads the tables of a plan's runs and nothing else. Random numbers come from
`generator()`, so that the same values have the same interval wherever they are shown. A value that
cannot be had is `Undefined` with its reason: a missing, failed or diverged run is never left out
and never 0.

The estimate that is judged draws where it did when its rule was registered, after the details that
its measure then had: `move_on` keeps that place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike

from cl_bench.analysis.paired import BySeed, PairedDifference
from cl_bench.claims.plan import STREAM, Plan
from cl_bench.contract.plugins import STREAM_SEPARATOR
from cl_bench.metrics import over_seeds
from cl_bench.metrics.arrays import Array
from cl_bench.metrics.stats.bootstrap import Estimate, as_ratio
from cl_bench.metrics.undefined import Undefined, mean_of
from cl_bench.sweep.cell import Cell

if TYPE_CHECKING:
    import pandas as pd

    from cl_bench.claims.data import Data

Trajectory = tuple[Array, Array]
"""Two columns of a learning curve, such as accuracies and samples."""
Scale = Literal["accuracy", "points", "nats", "ratio", "samples", "plain"]
"""Unit of a detail; `points` are differences of accuracies."""


class Curves(Protocol):
    """What most measures need of the runs' tables, `cl_bench.claims.data.Data`."""

    def curve(
        self, cell: Cell, domain: str, *, prompt: str = "learner"
    ) -> pd.DataFrame | Undefined:
        """Rows of `evaluations` of the trained model on a domain of the stream."""


@dataclass(frozen=True)
class Detail:
    """What one domain, origin or cell of the comparison shows."""

    what: str
    """`code`, `after math`, …"""
    values: Mapping[str, Estimate | Undefined]
    """By learner, or `difference`, `ratio`, …: the mean over seeds. Ratios are no logarithms here,
    their mean is the geometric one."""
    scale: Scale


@dataclass(frozen=True)
class MeasuredStatement:
    """What the runs say of one statement."""

    value_by_seed: BySeed
    """On the statement's scale, log2 for ratios; empty where only a fit over all seeds has one."""
    estimate: Estimate | Undefined
    """Mean over seeds and its interval, on the same scale."""
    details: tuple[Detail, ...]
    notes: tuple[str, ...] = ()
    """What a reader has to know beside the numbers."""


@dataclass(frozen=True)
class Added:
    """What the page shows beside one statement and no rule judges.

    It was added after the runs, to explain what the judged value does not show.
    """

    details: tuple[Detail, ...] = ()
    notes: tuple[str, ...] = ()


def generator() -> np.random.Generator:
    """The random numbers of one estimate, always the same."""
    return np.random.default_rng(0)


def measured(
    value_by_seed: BySeed,
    details: Sequence[Detail],
    rng: np.random.Generator,
    notes: Sequence[str] = (),
) -> MeasuredStatement:
    """A measure whose estimate is the mean over seeds."""
    return MeasuredStatement(
        value_by_seed, over_seeds(value_by_seed, rng), tuple(details), tuple(notes)
    )


def move_on(rng: np.random.Generator, *values: BySeed) -> None:
    """Take from a measure's random numbers what means of these values took at its registration."""
    for by_seed in values:
        over_seeds(by_seed, rng)


def detail(
    what: str,
    values: Mapping[str, BySeed],
    rng: np.random.Generator | None = None,
    scale: Scale = "accuracy",
) -> Detail:
    """The means over seeds of values that were measured seed by seed; ratios come as log2.

    Every mean has random numbers of its own. `rng`, for a detail that was there when the rules were
    registered, is moved on (see `move_on`).
    """
    if rng is not None:
        move_on(rng, *values.values())
    means = {name: over_seeds(by_seed, generator()) for name, by_seed in values.items()}
    if scale == "ratio":
        means = {name: as_ratio(mean) for name, mean in means.items()}
    return Detail(what, means, scale)


def difference(first: BySeed, second: BySeed) -> BySeed:
    """First minus second, seed by seed; undefined where one is, with the first reason."""
    return PairedDifference(first, second).by_seed


def mean_over(parts: Mapping[str, BySeed]) -> BySeed:
    """The mean over domains (or origins, …), seed by seed.

    A seed without a value in one of them has no mean: the reason says where and why.
    """
    seeds = next(iter(parts.values()))
    return {
        seed: mean_of(_from(name, values[seed]) for name, values in parts.items()) for seed in seeds
    }


def on_stream(
    data: Data, plan: Plan, learner: str, metric: Callable[[ArrayLike], float | Undefined]
) -> BySeed:
    """A metric of the accuracy matrices of a learner's runs on the stream."""
    stages = STREAM.split(STREAM_SEPARATOR)
    cells = {seed: plan.stream(learner, seed) for seed in plan.seeds}
    found = {seed: data.accuracy_matrix(cell, stages) for seed, cell in cells.items()}
    return {
        seed: matrix if isinstance(matrix, Undefined) else metric(matrix)
        for seed, matrix in found.items()
    }


def trajectory(
    data: Curves, cell: Cell, domain: str, first: str, second: str, *, prompt: str = "learner"
) -> Trajectory | Undefined:
    """Two columns of a run's evaluations on a domain, each of shape (P,), in the order of steps.

    Undefined with the run's reason, or naming the first value that is not finite.
    """
    curve = data.curve(cell, domain, prompt=prompt)
    if isinstance(curve, Undefined):
        return curve
    curve = curve.sort_values("step")
    for column in (first, second):
        broken_P = ~np.isfinite(curve[column].to_numpy(dtype=np.float64))
        if broken_P.any():
            step = curve["step"].to_numpy()[broken_P][0]
            return Undefined(f"{column} of run {cell.name} is not finite at step {step}")
    return curve[first].to_numpy(dtype=np.float64), curve[second].to_numpy(dtype=np.float64)


def trajectories(
    data: Curves,
    plan: Plan,
    domain: str,
    learner: str,
    first: str,
    second: str = "accuracy",
    *,
    prompt: str = "learner",
) -> list[Trajectory | Undefined]:
    """Two columns of a learner's single run on a domain, of every seed."""
    cells = [plan.single(domain, learner, seed) for seed in plan.seeds]
    return [trajectory(data, cell, domain, first, second, prompt=prompt) for cell in cells]


def both(
    data: Curves,
    cells: tuple[Cell, Cell],
    domain: str,
    first: str,
    second: str,
    *,
    prompt: str = "learner",
) -> tuple[Trajectory, Trajectory] | Undefined:
    """The trajectories of two runs; undefined, with its reason, if one of them is."""
    one, other = (trajectory(data, cell, domain, first, second, prompt=prompt) for cell in cells)
    if isinstance(one, Undefined):
        return one
    return other if isinstance(other, Undefined) else (one, other)


def _from(name: str, value: float | Undefined) -> float | Undefined:
    """A value; a reason with where it is from."""
    return Undefined(f"{name}: {value.reason}") if isinstance(value, Undefined) else value
