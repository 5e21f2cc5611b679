"""Intervals of one proportion, and robust summaries of scores of several seeds and tasks."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from cl_bench.metrics.arrays import Array, missing, real_array
from cl_bench.metrics.undefined import Undefined

_Z95 = NormalDist().inv_cdf(0.975)


def wilson(share_N: ArrayLike, count_N: ArrayLike) -> tuple[Array, Array]:
    """Lower and upper ends, shape (N,), of the 95 % score interval of proportions (Wilson 1927).

    `share_N` are proportions, `count_N` of how many independent trials each, at least 1.
    """
    share, count = np.asarray(share_N, dtype=float), np.asarray(count_N, dtype=float)
    if (count < 1).any():
        raise ValueError("count_N holds numbers of trials, each at least 1.")
    scale = 1 + _Z95**2 / count
    centre = (share + _Z95**2 / (2 * count)) / scale
    half = _Z95 / scale * np.sqrt(share * (1 - share) / count + _Z95**2 / (4 * count**2))
    low, high = np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)
    # The exact ends at 0 and 1, which rounding misses.
    return np.where(share == 0, 0.0, low), np.where(share == 1, 1.0, high)


def interquartile_mean(score_S_J: ArrayLike) -> float | Undefined:
    """Mean of the middle half of all scores, seeds × tasks together.

    Agarwal et al. 2021: the ⌊n/4⌋ lowest and ⌊n/4⌋ highest of the n = S · J scores are left out.
    Less moved by one odd seed than the mean, more telling than the median. Normalise scores first
    if tasks have different scales. For its interval see `jackknife`.
    """
    score = real_array("score_S_J", score_S_J, "SJ")
    undefined = missing(score_S_J=score)
    if undefined is not None:
        return undefined
    ranked = np.sort(score, axis=None)
    cut = ranked.size // 4
    return float(ranked[cut : ranked.size - cut].mean())


def probability_of_improvement(first_S_J: ArrayLike, second_R_J: ArrayLike) -> float | Undefined:
    """Probability that a random seed of the first learner beats one of the second; 0.5 is even.

    Mean over tasks of P(X > Y) + ½ P(X = Y), the Mann-Whitney U over S · R. Agarwal et al. 2021.
    The learners may have different numbers of seeds, (S, J) and (R, J), on the same tasks.
    """
    first, second = real_array("first_S_J", first_S_J, "SJ"), real_array("second", second_R_J, "RJ")
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"Both need the same tasks; got {first.shape[1]} and {second.shape[1]}.")
    undefined = missing(first_S_J=first, second_R_J=second)
    if undefined is not None:
        return undefined
    difference = first[:, None] - second[None]
    return float(((difference > 0) + (difference == 0) / 2).mean())
