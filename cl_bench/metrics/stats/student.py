"""The mean of one value per seed and its interval: Student's t, the one interval over seeds here.

A percentile bootstrap of three seeds reaches no farther than from the lowest to the highest, so
that its nominal 95 % holds far less, and an exact interval, which inverts the sign-flip test, needs
six seeds to be finite at all. Student's t holds its level with normal values from two seeds on;
docs/leaderboard.md has its simulated coverage with others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike

from cl_bench.metrics.arrays import ROUNDING, Array, missing, real_array
from cl_bench.metrics.undefined import Undefined


@dataclass(frozen=True)
class Interval:
    """The ends of an interval and its level."""

    low: float
    high: float
    level: float

    def __str__(self) -> str:
        return f"[{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Estimate:
    """A value, its interval over seeds, and what it rests on: `0.812 [0.790, 0.834], 4 of 5`."""

    value: float
    interval: Interval | Undefined
    seeds: int
    """Seeds that have a value."""
    of_seeds: int
    """Seeds that were run; those that failed or diverged included."""

    def __str__(self) -> str:
        shown = f"({self.interval})" if isinstance(self.interval, Undefined) else self.interval
        return f"{self.value:.3f} {shown}, {self.seeds} of {self.of_seeds} seeds"


ONE_SEED = Undefined("one seed shows no interval over seeds")
NO_SPREAD = Undefined("all seeds alike")


def over_seeds(
    value_by_seed: Mapping[int, float | Undefined], *, level: float = 0.95
) -> Estimate | Undefined:
    """Mean of one value per seed over the seeds that have one, said as "k of n", with its interval.

    mean ± t · s / √k (Student 1908): t is the quantile of k − 1 degrees of freedom, s the deviation
    of the values. One seed has no interval, nor have seeds with the same value. t knows no bounds:
    the interval of a share may reach beyond 0 or 1. A failed or diverged seed goes in as
    `Undefined` with its reason: it is left out of the mean and counted in n. If no seed has a
    value, the result gives the first reason.
    """
    reasons = [value.reason for value in value_by_seed.values() if isinstance(value, Undefined)]
    values = [value for value in value_by_seed.values() if not isinstance(value, Undefined)]
    total = len(value_by_seed)
    if not values:
        return Undefined("; ".join([f"0 of {total} seeds have a value", *reasons[:1]]))
    value_S = real_array("value_S", values, "S")
    undefined = missing(value_S=value_S)
    if undefined is not None:
        return undefined
    mean = float(value_S.mean())
    return Estimate(mean, _about(mean, value_S, level), len(values), total)


def _about(centre: float, value_S: Array, level: float) -> Interval | Undefined:
    """The interval of the mean of these values, moved to `centre`."""
    seeds = len(value_S)
    if seeds < 2:
        return ONE_SEED
    deviation = float(value_S.std(ddof=1))
    if deviation <= ROUNDING * max(1.0, float(np.abs(value_S).max())):
        return NO_SPREAD
    return student_interval(centre, deviation / sqrt(seeds), seeds - 1, level)


def student_interval(centre: float, error: float, freedom: int, level: float) -> Interval:
    """Return centre ± t · error, t being the quantile of `freedom` (≥ 1) degrees of freedom."""
    reach = _quantile(freedom, level) * error
    return Interval(centre - reach, centre + reach, level)


def _quantile(freedom: int, level: float) -> float:
    from scipy.stats import t

    return float(t.ppf((1 + level) / 2, freedom))


def student_band(value_S_P: ArrayLike, *, level: float = 0.95) -> tuple[Array, Array] | Undefined:
    """Return both ends, each of shape (P,), of the interval of the mean curve over seeds.

    `value_S_P`, shape (S, P), has a curve per seed; each point has the level for itself. NaN where
    a seed has NaN. Undefined for one seed.
    """
    value = real_array("value_S_P", value_S_P, "SP")
    seeds = len(value)
    if seeds == 1:
        return ONE_SEED
    mean_P = value.mean(axis=0)
    reach_P = _quantile(seeds - 1, level) * value.std(axis=0, ddof=1) / np.sqrt(seeds)
    return mean_P - reach_P, mean_P + reach_P


def jackknife(
    score_S_J: ArrayLike, statistic: Callable[[Array], float | Undefined], *, level: float = 0.95
) -> Estimate | Undefined:
    """A statistic of seeds × tasks, shape (S, J), with Student's t interval of its jackknife.

    Tukey 1958: the S values of the statistic without one seed each take the place of the seeds'
    values; for a mean this is the interval of `over_seeds`. `statistic` takes an array of shape
    (S, J) or (S − 1, J), for instance `interquartile_mean`, or the ratio of two columns' means.
    """
    score = real_array("score_S_J", score_S_J, "SJ")
    undefined = missing(score_S_J=score)
    if undefined is not None:
        return undefined
    value, seeds = statistic(score.copy()), len(score)
    if isinstance(value, Undefined):
        return value
    without = [statistic(np.delete(score, seed, axis=0)) for seed in range(seeds) if seeds > 1]
    return Estimate(value, jackknife_interval(value, without, level), seeds, seeds)


def jackknife_interval(
    value: float, without_S: Sequence[float | Undefined], level: float
) -> Interval | Undefined:
    """The interval of a statistic whose values without one seed each are `without_S`."""
    found = []
    for one in without_S:
        if isinstance(one, Undefined):
            return Undefined(f"without one of the seeds there is no value: {one.reason}")
        found.append(one)
    # Pseudo-values; a constant that is added to all of them does not change their spread.
    return _about(value, -(len(found) - 1) * np.array(found, float), level)


def as_ratio(estimate: Estimate | Undefined) -> Estimate | Undefined:
    """Turn an estimate of a mean log2 ratio into one of the geometric mean of the ratios."""
    if isinstance(estimate, Undefined):
        return estimate
    interval = estimate.interval
    if not isinstance(interval, Undefined):
        interval = Interval(2**interval.low, 2**interval.high, interval.level)
    return replace(estimate, value=2**estimate.value, interval=interval)


def student_p(difference_S: ArrayLike) -> float:
    """Two-sided p of the t test that the mean of at least 2 differences, shape (S,), is 0.

    Student 1908. Differences that are all the same but for rounding have no t; their p is that of
    the exact sign-flip test, 2 / 2^S, and 1 if they are 0.
    """
    from scipy.stats import ttest_1samp

    difference = real_array("difference_S", difference_S, "S")
    mean, deviation = abs(float(difference.mean())), float(difference.std(ddof=1))
    if mean <= ROUNDING:
        return 1.0
    if deviation <= ROUNDING * mean:
        return float(2.0 ** (1 - len(difference)))
    return float(ttest_1samp(difference, 0).pvalue)
