"""Two learners compared seed by seed: differences with intervals, exact tests, items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cl_bench.analysis.columns import EFFICIENCY, PLASTICITY, columns
from cl_bench.analysis.efficiency import efficiencies, log_ratios
from cl_bench.analysis.entries import own_metrics
from cl_bench.analysis.item_changes import ItemChanges, item_changes
from cl_bench.analysis.paired import PairedDifference, mean_over_seeds
from cl_bench.analysis.pairs import Pair
from cl_bench.analysis.run_values import Column
from cl_bench.analysis.sides import Side, read_side, why_not
from cl_bench.contract.errors import UsageError
from cl_bench.metrics.comparison import PermutationTest
from cl_bench.metrics.stats.bootstrap import Estimate, as_ratio
from cl_bench.metrics.undefined import Undefined


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
    plugins = own_metrics([*first.entries.values(), *second.entries.values()])
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
        items=item_changes([Pair(s, second.runs[s], first.runs[s]) for s in seeds]),
    )


def _difference(first: Side, second: Side, seeds: Sequence[int], name: str) -> Difference:
    before, after = ({s: side.entries[s].value(name) for s in seeds} for side in (first, second))
    paired = PairedDifference(after, before)
    shown_after, shown_before = paired.of_pairs
    return Difference(
        first=mean_over_seeds(shown_before),
        second=mean_over_seeds(shown_after),
        difference=paired.bootstrap(),
        test=paired.test(),
        seeds_needed=paired.seeds_needed(),
        per_seed={seed: (before[seed], after[seed]) for seed in seeds},
    )


def _efficiency(first: Side, second: Side, seeds: Sequence[int], name: str) -> Estimate | Undefined:
    """`cl_bench.analysis.efficiency`, with the first side as the reference."""
    own = {seed: second.entries[seed] for seed in seeds}
    reference = {seed: first.entries[seed] for seed in seeds}
    ratios = efficiencies(own, reference, seeds, EFFICIENCY[name], who="the first")
    return as_ratio(mean_over_seeds(log_ratios(ratios, own)))
