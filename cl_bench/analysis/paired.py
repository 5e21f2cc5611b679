"""The comparison of paired runs: one number of two groups of runs, seed by seed.

`cl-bench compare`, the gate and the claims take their differences from here: with Student's t over
seeds (in the gate with the noise of the items as the least error) and an exact test of the signs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from cl_bench.metrics.comparison import PermutationTest, permutation_test, seeds_needed
from cl_bench.metrics.stats.student import (
    ONE_SEED,
    Estimate,
    Interval,
    over_seeds,
    student_interval,
    student_p,
)
from cl_bench.metrics.undefined import Undefined

BySeed = Mapping[int, float | Undefined]
"""One value per seed, or why it has none."""
NO_RUN = Undefined("there is no run with this seed")
NO_ITEMS = Undefined("one seed says nothing of it: it has no values of single items")
_NO_PAIR = Undefined("no seed has both values")
_MOST_SEEDS = 20
"""Of an exact test."""
_ROUNDING = 1e-12
"""Two values that differ by less are one: 0.1 + 0.2 and 0.3."""


@dataclass(frozen=True)
class ItemNoise:
    """What the difference of two runs of one seed is on resampled items."""

    centre: float
    error: float
    """Its standard error."""
    items: int
    """Of the domain that has fewest."""


@dataclass(frozen=True)
class PairedDifference:
    """One number of some runs minus that of the reference's runs with the same seeds."""

    values: BySeed
    reference: BySeed
    noise: Mapping[int, ItemNoise | Undefined] = field(default_factory=dict)
    """What the items of a seed say of its difference; empty for a quantity that is not made of
    items, and where nobody asks."""

    @classmethod
    def against(cls, values: BySeed, constant: float) -> PairedDifference:
        """The difference from a number."""
        return cls(values, dict.fromkeys(values, constant))

    @cached_property
    def by_seed(self) -> BySeed:
        """Value − reference; undefined where one of them is, with the value's reason first."""
        return {seed: _minus(value, self.reference[seed]) for seed, value in self.values.items()}

    @property
    def known(self) -> list[float]:
        """The differences of the seeds that have both values."""
        return known(self.by_seed)

    @property
    def mean(self) -> float:
        """Of the seeds that have both values; there has to be one."""
        return float(np.mean(self.known))

    @property
    def of_pairs(self) -> tuple[BySeed, BySeed]:
        """Values and reference of the seeds that have both, so that the difference of their means
        is the mean difference; elsewhere the reason why there is none."""
        values, reference = (
            {s: d if isinstance(d, Undefined) else side[s] for s, d in self.by_seed.items()}
            for side in (self.values, self.reference)
        )
        return values, reference

    def estimate(self) -> Estimate | Undefined:
        """The mean difference with its interval over seeds."""
        return mean_over_seeds(self.by_seed)

    def student(self, level: float) -> Interval | Undefined:
        """The interval of the mean difference: over seeds by Student's t, of one seed over items.

        Over seeds it is never narrower than the noise of the items makes it, so that few seeds
        which agree by chance prove nothing: a quantity of items has none if one seed's items say
        nothing. Over items it speaks of these two checkpoints only.
        """
        if len(self.values) == 1:
            return _over_items(next(iter(self.noise.values()), NO_ITEMS), level)
        errors = []
        for noise in self.noise.values():
            if isinstance(noise, Undefined):
                return noise
            errors.append(noise.error)
        seeds = len(self.known)
        if seeds < 2:
            return ONE_SEED if seeds else _NO_PAIR
        least = float(np.sqrt(np.square(errors).sum())) / len(self.values)
        error = max(float(np.std(self.known, ddof=1)) / float(np.sqrt(seeds)), least)
        return student_interval(self.mean, error, seeds - 1, level)

    def student_p(self) -> float | Undefined:
        """The p of the t test that the mean difference is 0."""
        if len(self.known) < 2:
            return ONE_SEED if self.known else _NO_PAIR
        return student_p(self.known)

    def test(self) -> PermutationTest | Undefined:
        """Exact, two-sided, of the signs of the differences; undefined over 20 seeds."""
        if len(self.known) > _MOST_SEEDS:
            return Undefined(f"over {_MOST_SEEDS} seeds, where the interval says more")
        return permutation_test(self.known, np.zeros(len(self.known))) if self.known else _NO_PAIR

    def seeds_needed(self) -> int | Undefined:
        """Seeds that would decide a difference as large and as noisy as this one."""
        return seeds_needed(self.known) if self.known else _NO_PAIR


def known(by_seed: BySeed) -> list[float]:
    """The values that there are."""
    return [value for value in by_seed.values() if not isinstance(value, Undefined)]


def mean_over_seeds(by_seed: BySeed) -> Estimate | Undefined:
    """`over_seeds`; what all runs lack for one reason is undefined for that."""
    run = [value for value in by_seed.values() if value != NO_RUN]
    if run and isinstance(run[0], Undefined) and all(value == run[0] for value in run):
        return run[0]
    return over_seeds(by_seed)


def _minus(value: float | Undefined, reference: float | Undefined) -> float | Undefined:
    if isinstance(value, Undefined):
        return value
    if isinstance(reference, Undefined):
        return reference
    difference = value - reference
    return difference if abs(difference) > _ROUNDING else 0.0


def _over_items(noise: ItemNoise | Undefined, level: float) -> Interval | Undefined:
    if isinstance(noise, Undefined):
        return noise
    if noise.items < 2:
        return Undefined("one item shows no spread")
    return student_interval(noise.centre, noise.error, noise.items - 1, level)
