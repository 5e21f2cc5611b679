"""One value per seed: arithmetic in which what is undefined stays so and keeps its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import numpy as np

from cl_bench.claims.measure import Detail, Measured
from cl_bench.metrics import over_seeds
from cl_bench.metrics.bootstrap import Estimate, Interval
from cl_bench.metrics.undefined import Undefined

Value = float | Undefined
Columns = Mapping[str, Value]
"""Values of one seed by the name of their column: a learner, `base`, `difference`."""


def minus(first: Value, second: Value) -> Value:
    """The difference; the reason of the first that has no value."""
    if isinstance(first, Undefined):
        return first
    return second if isinstance(second, Undefined) else first - second


def log2_ratio(first: Value, second: Value) -> Value:
    """log2(first / second); undefined unless both are above 0."""
    for value in (first, second):
        if not isinstance(value, Undefined) and value <= 0:
            return Undefined(f"{value:g} has no ratio")
    if isinstance(first, Undefined):
        return first
    return second if isinstance(second, Undefined) else float(np.log2(first / second))


def mean(values: Mapping[str, Value]) -> Value:
    """Mean over named parts; undefined, with its name, if one of them has no value."""
    found = []
    for name, value in values.items():
        if isinstance(value, Undefined):
            return Undefined(f"{name}: {value.reason}")
        found.append(value)
    return float(np.mean(found))


def estimate(value_by_seed: Mapping[int, Value]) -> Estimate | Undefined:
    """Mean over seeds with its interval, the same whenever it is asked for."""
    return over_seeds(value_by_seed, np.random.default_rng(0))


def ratio_estimate(log2_by_seed: Mapping[int, Value]) -> Estimate | Undefined:
    """The ratio whose logarithm to base 2 is the mean over seeds."""
    found = estimate(log2_by_seed)
    if isinstance(found, Undefined):
        return found
    interval = found.interval
    if isinstance(interval, Interval):
        interval = Interval(2**interval.low, 2**interval.high, interval.level)
    return Estimate(2**found.value, interval, found.seeds, found.of_seeds)


def measured(
    seeds: Iterable[int],
    value: Callable[[int], Value],
    details: Iterable[Detail],
    notes: Iterable[str] = (),
) -> Measured:
    """The statement whose value of a seed is `value(seed)`."""
    value_by_seed = {seed: value(seed) for seed in seeds}
    return Measured(value_by_seed, estimate(value_by_seed), tuple(details), tuple(notes))


def detail(
    what: str,
    seeds: Iterable[int],
    columns: Callable[[int], Columns],
    scale: Literal["accuracy", "samples"] = "accuracy",
) -> Detail:
    """The line `what`: of every column of `columns(seed)` the mean over seeds."""
    by_seed = {seed: columns(seed) for seed in seeds}
    names = dict.fromkeys(name for row in by_seed.values() for name in row)
    values = {name: estimate({seed: row[name] for seed, row in by_seed.items()}) for name in names}
    return Detail(what, values, scale)
