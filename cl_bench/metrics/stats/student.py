"""Student's t interval of the mean of few values, with a least width."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from cl_bench.metrics.arrays import missing, real_array
from cl_bench.metrics.stats.bootstrap import ONE_SEED, Estimate, Interval
from cl_bench.metrics.undefined import Undefined

_ROUNDING = 1e-12
"""Means of the same numbers in another order differ by less."""


def student_mean(
    value_S: ArrayLike, *, least_error: float = 0.0, level: float = 0.95
) -> Estimate | Undefined:
    """Mean of one value per seed, shape (S,), and mean ± t · max(s / √S, least_error).

    Student 1908: t is the quantile of S − 1 degrees of freedom, s the deviation of the values. It
    holds its level with three seeds, where a bootstrap does not, if values are about normal.
    `least_error` is a standard error that the mean has at least, whatever few values show: the
    noise of the items, say, beside seeds that happen to agree.
    """
    value = real_array("value_S", value_S, "S")
    undefined = missing(value_S=value)
    if undefined is not None:
        return undefined
    seeds, mean = len(value), float(value.mean())
    if seeds < 2:
        return Estimate(mean, ONE_SEED, seeds, seeds)
    error = max(float(value.std(ddof=1)) / np.sqrt(seeds), least_error)
    return Estimate(mean, student_interval(mean, error, seeds - 1, level), seeds, seeds)


def student_interval(centre: float, error: float, freedom: int, level: float) -> Interval:
    """Return centre ± t · error, t being the quantile of `freedom` (≥ 1) degrees of freedom."""
    from scipy.stats import t

    reach = float(t.ppf((1 + level) / 2, freedom)) * error
    return Interval(centre - reach, centre + reach, level)


def student_p(difference_S: ArrayLike) -> float:
    """Two-sided p of the t test that the mean of at least 2 differences, shape (S,), is 0.

    Student 1908. Differences that are all the same but for rounding have p 0, and 1 if they are 0.
    """
    from scipy.stats import ttest_1samp

    difference = real_array("difference_S", difference_S, "S")
    mean, deviation = abs(float(difference.mean())), float(difference.std(ddof=1))
    if mean <= _ROUNDING:
        return 1.0
    if deviation <= _ROUNDING * mean:
        return 0.0
    return float(ttest_1samp(difference, 0).pvalue)
