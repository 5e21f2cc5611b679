"""Whether two learners differ: an exact test, several tests, seeds that would decide, the noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import ceil, comb, log2
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from cl_bench.metrics.arrays import ROUNDING, Array, missing, real_array, same_shape
from cl_bench.metrics.quantities import LEVEL, NUMBER, p_value
from cl_bench.metrics.undefined import Undefined

_MOST_ARRANGEMENTS = 2**20
"""Arrangements that an exact test goes through, at most."""


@dataclass(frozen=True)
class PermutationTest:
    """The outcome of an exact two-sided permutation test."""

    difference: float
    """Mean of the first minus mean of the second."""
    p: float
    """Share of the arrangements whose difference is at least as far from 0 as this one."""
    smallest_p: float
    """The smallest p that any outcome with so many seeds can have."""

    def __str__(self) -> str:
        reach = "" if self.smallest_p <= LEVEL else "; cannot reach 0.05 with so few seeds"
        return (
            f"{NUMBER.change.text(self.difference)}, p {p_value(self.p)} "
            f"(smallest possible {NUMBER.text(self.smallest_p)}{reach})"
        )


def permutation_test(
    first_S: ArrayLike, second_R: ArrayLike, *, paired: bool = True
) -> PermutationTest | Undefined:
    """Exact two-sided permutation test of equal means of two learners, one value per seed.

    Fisher 1935. Paired (the same seeds in the same order): all 2^S signs of the differences, so p
    is at least 2 / 2^S: 0.25 with 3 seeds, 0.0625 with 5, and 6 seeds are the fewest that can
    reach 0.05. Unpaired: all C(S + R, S) ways to deal the values out, 0.1 at least with 3 and 3.
    `ValueError` over 2^20 arrangements, where an interval says more (`over_seeds`).
    """
    first, second = real_array("first_S", first_S, "S"), real_array("second_R", second_R, "R")
    if paired:
        same_shape(first_S=first, second_R=second)
    undefined = missing(first_S=first, second_R=second)
    if undefined is not None:
        return undefined
    count = 2 ** len(first) if paired else comb(len(first) + len(second), len(first))
    if count > _MOST_ARRANGEMENTS:
        raise ValueError(
            f"{count} arrangements are too many for an exact test, {_MOST_ARRANGEMENTS} the most; "
            "with so many seeds use the interval of over_seeds."
        )
    # scipy's test refuses a single seed, tells equal sums in another order apart, doubles the
    # smaller tail where the sizes differ, and takes seconds for 20 seeds.
    means = _flipped(first - second) if paired else _dealt_out(first, second)
    observed = abs(float(first.mean() - second.mean()))
    tie = ROUNDING * max(1.0, float(np.abs(means).max()))
    p = float((np.abs(means) >= observed - tie).mean())
    mirrored = paired or len(first) == len(second)
    return PermutationTest(
        float(first.mean() - second.mean()), p, min(1.0, (2 if mirrored else 1) / count)
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """The p of each of several tests, corrected for their number, in the same order.

    Holm 1979: the smallest p times the number of tests, the next times one fewer, and so on, none
    below the one before and none over 1. If no effect exists, one of them lies below `level` with
    probability `level` at most, however the tests depend on one another.
    """
    corrected, least = [0.0] * len(p_values), 0.0
    for number, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        least = max(least, min(1.0, p_values[place] * (len(p_values) - number)))
        corrected[place] = least
    return corrected


def seeds_needed(
    difference_S: ArrayLike, *, power: float = 0.8, level: float = 0.05
) -> int | Undefined:
    """Seeds that decide a paired difference as large and as noisy as the one observed.

    ⌈((z_(1−level/2) + z_power) · sd / mean)² + z²_(1−level/2) / 2⌉: the two-sided paired t test by
    the normal approximation with Guenther's (1981) correction. At least as many as the exact
    permutation test needs to reach `level`, 6 at 0.05. `difference_S`, shape (S,), holds one
    difference per seed; from few seeds the answer is rough.
    """
    difference = real_array("difference_S", difference_S, "S")
    undefined = missing(difference_S=difference)
    if undefined is not None:
        return undefined
    if len(difference) < 2:
        return Undefined("one seed shows no spread")
    mean = abs(float(difference.mean()))
    if mean <= ROUNDING:
        return Undefined("no difference was observed that more seeds could decide")
    effect = mean / max(float(difference.std(ddof=1)), ROUNDING)
    return max(sample_size(effect, power=power, level=level), ceil(1 - log2(level)))


def sample_size(effect: float, *, power: float = 0.8, level: float = 0.05) -> int:
    """Units (seeds, items) with which a paired t test finds an effect: see `seeds_needed`.

    `effect` is the mean difference over the deviation of the differences, and not 0.
    """
    z_level, z_power = (NormalDist().inv_cdf(share) for share in (1 - level / 2, power))
    return ceil(((z_level + z_power) / effect) ** 2 + z_level**2 / 2)


@dataclass(frozen=True)
class NoiseFloor:
    """The change of a checkpoint's accuracy when only the sampling seed changes."""

    difference: float
    """Of the two scorings, first − second."""
    floor: float
    """Size of difference that two scorings of one checkpoint exceed with probability 1 − level."""
    items: int


def rescore_noise_floor(
    first_N: ArrayLike, second_N: ArrayLike, *, level: float = 0.95
) -> NoiseFloor | Undefined:
    """The noise floor from one checkpoint scored twice with different sampling seeds.

    z · √(Σ d²) / N, d being the difference on an item, whose mean is 0 by construction. `first_N`
    and `second_N`, shape (N,), are scores on the same items, averaged over the samples of each. A
    delta between checkpoints below the floor, on as many items and samples, is sampling noise. A
    floor of 0 means that no item changed, as with a checkpoint that solves all or nothing.
    """
    first, second = real_array("first_N", first_N, "N"), real_array("second_N", second_N, "N")
    same_shape(first_N=first, second_N=second)
    undefined = missing(first_N=first, second_N=second)
    if undefined is not None:
        return undefined
    if len(first) < 2:
        return Undefined("needs at least 2 items, got 1")
    difference = first - second
    z = NormalDist().inv_cdf((1 + level) / 2)
    floor = z * float(np.sqrt(np.square(difference).sum())) / len(difference)
    return NoiseFloor(float(difference.mean()), floor, len(difference))


def sampling_noise_floor(
    mean_N: ArrayLike, samples: int, *, level: float = 0.95
) -> float | Undefined:
    """The same floor from one scoring with several samples of each item, verdicts being 0 or 1.

    z · √(2 Σ m (1 − m) / (samples − 1)) / N. `mean_N`, shape (N,), holds the mean verdict m of
    `samples` responses to each item, and m (1 − m) / (samples − 1) is the unbiased estimate of its
    variance; two scorings have twice that. Undefined with one sample, which shows no spread.
    """
    mean = real_array("mean_N", mean_N, "N")
    undefined = missing(mean_N=mean)
    if undefined is not None:
        return undefined
    if samples < 2:
        return Undefined("needs at least 2 samples of each item, got 1")
    if mean.min() < 0 or mean.max() > 1:
        raise ValueError("mean_N holds means of verdicts from 0 to 1.")
    z = NormalDist().inv_cdf((1 + level) / 2)
    variance = 2 * (mean * (1 - mean)).sum() / (samples - 1)
    return z * float(np.sqrt(variance)) / len(mean)


def _flipped(difference_S: Array) -> Array:
    """Return the mean of the differences under every choice of signs, shape (2^S,)."""
    sums = np.zeros(1)
    for difference in difference_S:
        sums = np.concatenate([sums + difference, sums - difference])
    return sums / len(difference_S)


def _dealt_out(first_S: Array, second_R: Array) -> Array:
    """Return first mean minus second mean, for every way to deal the values out."""
    values, size = np.concatenate([first_S, second_R]), len(first_S)
    chosen = np.array(list(combinations(range(len(values)), size)))
    first = values[chosen].sum(axis=1)
    dealt: Array = first / size - (values.sum() - first) / len(second_R)
    return dealt
