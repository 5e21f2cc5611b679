"""Rank intervals: the places that the differences between learners leave open.

A bare rank says that the second is worse than the first, whatever the noise. The interval counts
only differences that the seeds are sure of, all pairs of learners taken together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from math import comb, sqrt

import numpy as np

from cl_bench.metrics.arrays import missing, real_array
from cl_bench.metrics.comparison import holm
from cl_bench.metrics.stats.student import student_p
from cl_bench.metrics.undefined import Undefined

LEAST_SEEDS = 3
"""With fewer common seeds two learners are not told apart, however far they lie."""
CLEAR = 2.0
"""A difference that a board should be able to see, in deviations of the difference over seeds."""


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


@cache
def seeds_to_rank(learners: int, *, level: float = 0.95) -> int:
    """The seeds with which `rank_intervals` of at least 2 learners can tell them apart.

    That is the least number n at which a clear difference, one of twice its own deviation over
    seeds, passes the paired t test as the first of all pairs (Holm): 2 √n > t, which is the
    quantile of n − 1 degrees of freedom at (1 − `level`) / pairs, two-sided. With fewer the
    intervals hold nearly every place, whatever was measured.
    """
    from scipy.stats import t

    tail = (1 - level) / comb(learners, 2) / 2
    seeds = LEAST_SEEDS
    while CLEAR * sqrt(seeds) <= t.ppf(1 - tail, seeds - 1):
        seeds += 1
    return seeds


def rank_intervals(
    value_by_seed: Sequence[Mapping[int, float | Undefined]],
    *,
    higher: bool = True,
    level: float = 0.95,
) -> list[Ranks | Undefined]:
    """Of every learner, 1 + those significantly better, to the number of all − those worse.

    `value_by_seed` has a mapping of one value per seed for each learner; seeds whose value is
    `Undefined` are left out. One learner is significantly better than another if the paired t test
    of their values with the same seeds (Student 1908) says so, corrected for all pairs of these
    learners (Holm 1979): if none differ, some pair is told apart with probability 1 − `level` at
    most, values being about normal. With fewer than 3 common seeds no pair is. `higher` says
    whether more is the better. A learner with fewer than two values has no rank, and does not count
    among the others.
    """
    found = [_values(values) for values in value_by_seed]
    ranked = [values for values in found if not isinstance(values, Undefined)]
    above = _surely_above(ranked, higher, 1 - level)
    better, worse = above.sum(axis=0).tolist(), above.sum(axis=1).tolist()
    count = len(ranked)
    intervals = iter(
        Ranks(1 + over, count - under, count, level)
        for over, under in zip(better, worse, strict=True)
    )
    return [values if isinstance(values, Undefined) else next(intervals) for values in found]


def _values(value_by_seed: Mapping[int, float | Undefined]) -> dict[int, float] | Undefined:
    """Return the values by seed, or `Undefined` if there are fewer than two."""
    found = {s: float(v) for s, v in value_by_seed.items() if not isinstance(v, Undefined)}
    value_S = real_array("value_S", list(found.values()), "S")
    if len(found) > 1:
        undefined = missing(value_S=value_S)
        return found if undefined is None else undefined
    return Undefined("one seed shows no ranks over seeds" if found else "no seed has a value")


def _surely_above(
    values: Sequence[Mapping[int, float]], higher: bool, allowed: float
) -> np.ndarray:
    """Return which learner (row) is significantly better than which (column), shape (L, L)."""
    above = np.zeros((len(values), len(values)), dtype=bool)
    tested = []
    for first, second in combinations(range(len(values)), 2):
        seeds = sorted(values[first].keys() & values[second].keys())
        if len(seeds) >= LEAST_SEEDS:
            difference = np.array([values[first][s] - values[second][s] for s in seeds])
            better = (first, second) if (difference.mean() > 0) == higher else (second, first)
            tested.append((student_p(difference), better))
    for p, (_, pair) in zip(holm([p for p, _ in tested]), tested, strict=True):
        above[pair] = p < allowed
    return above
