"""How often an interval over a few seeds holds what it is about."""

from __future__ import annotations

import numpy as np

RESAMPLES = 2_000
WORLDS = 4_000


def coverage(seeds: int, level: float = 0.95) -> float:
    """Share of simulated worlds in which the percentile bootstrap of a mean holds the truth.

    A world has one normal value per seed, at least two of them; its interval at `level` is made as
    `over_seeds` makes it. The same number every time.
    """
    rng = np.random.default_rng(0)
    value_S_W = rng.standard_normal((seeds, WORLDS))
    share_R_S = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=RESAMPLES) / seeds
    ends = [(1 - level) / 2, (1 + level) / 2]
    low_W, high_W = np.quantile(share_R_S @ value_S_W, ends, axis=0)
    return float(((low_W <= 0) & (high_W >= 0)).mean())
