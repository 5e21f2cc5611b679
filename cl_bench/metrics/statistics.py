"""Intervals: pure functions of arrays."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

_Z95 = NormalDist().inv_cdf(0.975)


def wilson(
    share_N: ArrayLike, count_N: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper ends, shape (N,), of the 95 % score interval of proportions (Wilson 1927).

    `share_N` are proportions, `count_N` how many independent trials each is a share of.
    """
    share, count = np.asarray(share_N, dtype=float), np.asarray(count_N, dtype=float)
    scale = 1 + _Z95**2 / count
    centre = (share + _Z95**2 / (2 * count)) / scale
    half = _Z95 / scale * np.sqrt(share * (1 - share) / count + _Z95**2 / (4 * count**2))
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)
