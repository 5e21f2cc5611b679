"""Two learners compared seed by seed: differences with intervals, exact tests, items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cl_bench.analysis.columns import EFFICIENCY, PLASTICITY, Column, columns
from cl_bench.analysis.efficiency import BySeed, efficiencies, log_ratios
from cl_bench.analysis.item_changes import ItemChanges, item_changes
from cl_bench.analysis.run_values import RUN_METRICS
from cl_bench.analysis.sides import Side, read_side, why_not
from cl_bench.contract.errors import UsageError
from cl_bench.metrics.comparison import PermutationTest, permutation_test, seeds_needed
from cl_bench.metrics.stats.bootstrap import Estimate, as_ratio, over_seeds
from cl_bench.metrics.undefined import Undefined

_MOST_SEEDS = 20
"""Of an exact permutation test."""
_DIGITS = 12
"""Decimals of a difference: two values of 0.1 + 0.2 and 0.3 do not differ."""


@dataclass(frozen=True)
class Difference:
    """One number of the two sides, over the seeds of which both have a value."""

    first: Estimate | Undefined
    second: Estimate | Undefined
    difference: Estimate | Undefined
    """Second minus first, seed by seed; all three are of the same seeds."""
    test: PermutationTest | Undefined
    """Exact, of the paired seeds."""
    seeds_needed: int | Undefined
    """Seeds that would decide a difference as large and as noisy as this one."""
    per_seed: Mapping[int, tuple[float | Undefined, float | Undefined]]
    """First and second by seed."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """The second side against the first."""

    first: Side
    second: Side
    apart: tuple[str, ...]
    """Why the two do not compare, if the numbers were asked for all the same."""
    seeds: tuple[int, ...]
    """Those that both have, whose runs are paired."""
    columns: Mapping[str, Column]
    differences: Mapping[str, Difference]
    """By metric, with the keys of `columns`."""
    efficiency: Mapping[str, Estimate | Undefined]
    """By the names of `EFFICIENCY`: how many times fewer samples the second needs to come to the
    highest average accuracy of the first."""
    items: Mapping[str, ItemChanges]
    """By domain, at the end of the stream."""


def compare(
    first: Path,
    second: Path,
    *,
    learners: tuple[str, str] | None = None,
    anyway: bool = False,
) -> Comparison:
    """The runs at or below `second` against those at or below `first`, paired by seed; with
    `learners`, of either side those of one learner.

    Runs that do not compare are a `UsageError` that says why, unless `anyway`; so are runs without
    a seed in common.
    """
    one, other = learners or (None, None)
    sides = read_side(first, one), read_side(second, other)
    apart = why_not(*sides)
    if apart and not anyway:
        raise UsageError(
            f"{first} and {second} do not compare: {'; '.join(apart)}. Run one of them again like "
            "the other, or give --anyway to see the numbers all the same."
        )
    seeds = tuple(seed for seed in sides[0].entries if seed in sides[1].entries)
    if not seeds:
        have = [", ".join(map(str, side.entries)) for side in sides]
        raise UsageError(
            f"{first} has the seeds {have[0]} and {second} has {have[1]}: nothing to pair. Run one "
            f"of them with a seed of the other, such as --seed {next(iter(sides[0].entries))}."
        )
    return _compared(*sides, apart, seeds)


def _compared(
    first: Side, second: Side, apart: Sequence[str], seeds: tuple[int, ...]
) -> Comparison:
    plugins = {
        name: None
        for side in (first, second)
        for entry in side.entries.values()
        for name in entry.values
        if name not in RUN_METRICS
    }
    shown = {
        name: column
        for name, column in columns(plugins).items()
        if name not in (*EFFICIENCY, PLASTICITY)
    }
    return Comparison(
        first=first,
        second=second,
        apart=tuple(apart),
        seeds=seeds,
        columns=shown,
        differences={name: _difference(first, second, seeds, name) for name in shown},
        efficiency={name: _efficiency(first, second, seeds, name) for name in EFFICIENCY},
        items=item_changes(first.runs, second.runs, seeds),
    )


def _difference(first: Side, second: Side, seeds: Sequence[int], name: str) -> Difference:
    values = {s: (first.entries[s].value(name), second.entries[s].value(name)) for s in seeds}
    change = {seed: _minus(*pair) for seed, pair in values.items()}
    known = [value for value in change.values() if not isinstance(value, Undefined)]
    # Means of the seeds that both have, so that their difference is the one beside them.
    sides = [
        {
            seed: lost if isinstance(lost, Undefined) else values[seed][side]
            for seed, lost in change.items()
        }
        for side in (0, 1)
    ]
    return Difference(
        first=estimate(sides[0]),
        second=estimate(sides[1]),
        difference=estimate(change),
        test=_test(known),
        seeds_needed=seeds_needed(known) if known else Undefined("no seed has both values"),
        per_seed=values,
    )


def estimate(by_seed: BySeed) -> Estimate | Undefined:
    """The mean over seeds with its interval; the same numbers give the same interval."""
    values = list(by_seed.values())
    first = values[0] if values else None
    if isinstance(first, Undefined) and all(value == first for value in values):
        return first
    return over_seeds(by_seed, np.random.default_rng(0))


def _minus(first: float | Undefined, second: float | Undefined) -> float | Undefined:
    """Second minus first."""
    if isinstance(first, Undefined):
        return first
    return second if isinstance(second, Undefined) else round(second - first, _DIGITS)


def _test(known: Sequence[float]) -> PermutationTest | Undefined:
    if len(known) > _MOST_SEEDS:
        return Undefined(f"over {_MOST_SEEDS} seeds, where the interval says more")
    return permutation_test(known, [0.0] * len(known)) if known else Undefined("no pair of values")


def _efficiency(first: Side, second: Side, seeds: Sequence[int], name: str) -> Estimate | Undefined:
    """`cl_bench.analysis.efficiency`, with the first side as the reference."""
    own = {seed: second.entries[seed] for seed in seeds}
    reference = {seed: first.entries[seed] for seed in seeds}
    ratios = efficiencies(own, reference, seeds, EFFICIENCY[name], who="the first")
    return as_ratio(estimate(log_ratios(ratios, own)))
