"""Rank intervals: the places that a learner may have, had other seeds been drawn.

A bare rank says that the second is worse than the first, whatever the noise; the interval says
which places the seeds leave open (the distribution of ranks of Agarwal et al. 2021). As every
bootstrap over few seeds it is too narrow (see `cl_bench.metrics.bootstrap`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cl_bench.metrics.arrays import Array, missing, real_array
from cl_bench.metrics.undefined import Undefined

RESAMPLES = 2_000
_DIGITS = 12
"""Decimals to which means are equal: their sums are made in different orders."""
_SPARE = 8
"""Draws of the common sequence beyond the seeds there are, in multiples of their number."""


@dataclass(frozen=True)
class Ranks:
    """The best and the worst rank of a learner, 1 being the best."""

    best: int
    worst: int
    of: int
    """Learners that are ranked."""
    level: float

    def __str__(self) -> str:
        return f"{self.best}–{self.worst}" if self.best < self.worst else f"{self.best}"


def rank_intervals(
    value_by_seed: Sequence[Mapping[int, float | Undefined]],
    generator: np.random.Generator,
    *,
    higher: bool = True,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> list[Ranks | Undefined]:
    """Of every learner the ranks that its mean has in the middle `level` of all resamples.

    `value_by_seed` has a mapping of one value per seed for each learner; seeds whose value is
    `Undefined` are left out. Each resample draws a common sequence of seeds with replacement, of
    which every learner takes the first that it has a value for, as many as it has values: learners
    with the same seeds are drawn together, so that what makes a seed hard for all cancels out.
    Equal means share the places that they take up, so that twins have ranks 1 to 2. `higher` says
    whether a higher mean is the better one. A learner with fewer than two values has no rank, and
    does not count among the others.
    """
    found = [_values(values) for values in value_by_seed]
    ranked = [values for values in found if not isinstance(values, Undefined)]
    intervals = iter(_intervals(ranked, generator, higher, resamples, level))
    return [values if isinstance(values, Undefined) else next(intervals) for values in found]


def _values(value_by_seed: Mapping[int, float | Undefined]) -> dict[int, float] | Undefined:
    """The seeds that have a value, if they are at least two."""
    found = {s: float(v) for s, v in value_by_seed.items() if not isinstance(v, Undefined)}
    value_S = real_array("value_S", list(found.values()), "S")
    if len(found) > 1:
        undefined = missing(value_S=value_S)
        return found if undefined is None else undefined
    return Undefined("one seed shows no ranks over seeds" if found else "no seed has a value")


def _intervals(
    values: Sequence[Mapping[int, float]],
    generator: np.random.Generator,
    higher: bool,
    resamples: int,
    level: float,
) -> list[Ranks]:
    if not values:
        return []
    mean_L_R = _means(values, generator, resamples).round(_DIGITS)
    signed = -mean_L_R if higher else mean_L_R
    best = np.array([(signed < own).sum(axis=0) + 1 for own in signed])
    worst = np.array([(signed <= own).sum(axis=0) for own in signed])
    low = np.quantile(best, (1 - level) / 2, axis=1, method="lower")
    high = np.quantile(worst, (1 + level) / 2, axis=1, method="higher")
    ends = zip(low.tolist(), high.tolist(), strict=True)
    return [Ranks(int(first), int(last), len(values), level) for first, last in ends]


def _means(
    values: Sequence[Mapping[int, float]], generator: np.random.Generator, resamples: int
) -> Array:
    """The mean of every learner in every resample, shape (L, R)."""
    seeds = sorted(set().union(*values))
    common = generator.integers(len(seeds), size=(resamples, len(seeds)))
    drawn = {tuple(range(len(seeds))): common}
    if any(len(by_seed) < len(seeds) for by_seed in values):
        spare = generator.integers(len(seeds), size=(resamples, _SPARE * len(seeds)))
        common = np.concatenate([common, spare], axis=1)
    rows = []
    for by_seed in values:
        own = tuple(place for place, seed in enumerate(seeds) if seed in by_seed)
        if own not in drawn:
            drawn[own] = _own_draws(common, own, generator)
        value_S = np.array([by_seed.get(seed, 0.0) for seed in seeds])
        rows.append(value_S[drawn[own]].mean(axis=1))
    return np.array(rows)


def _own_draws(
    common: np.ndarray, own: tuple[int, ...], generator: np.random.Generator
) -> np.ndarray:
    """Of each row of the common sequence the first draws among `own`, as many as these are."""
    count = len(own)
    foreign = ~np.isin(common, own)
    first = np.argsort(foreign, axis=1, kind="stable")[:, :count]
    chosen = np.take_along_axis(common, first, axis=1)
    lacking = np.take_along_axis(foreign, first, axis=1)
    # The sequence was too short for these: any of its own seeds, which is what it would have given.
    chosen[lacking] = generator.choice(own, size=int(lacking.sum()))
    return chosen
