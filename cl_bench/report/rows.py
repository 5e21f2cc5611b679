"""The rows of a board from its runs: means over seeds, intervals, rank intervals, flags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cl_bench.analysis.efficiency import efficiencies, log_ratios
from cl_bench.analysis.entries import EFFICIENCY, PLASTICITY, Entry, Status
from cl_bench.analysis.paired import NO_RUN, BySeed, mean_over_seeds
from cl_bench.analysis.run_values import Column
from cl_bench.metrics.stats.bootstrap import Estimate, as_ratio
from cl_bench.metrics.stats.ranks import Ranks, rank_intervals
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.board import Row

_SAID: Mapping[Status, str] = {
    "missing": "missing",
    "failed": "failed",
    "diverged": "diverged",
    "running": "unfinished",
}
RESAMPLES = 2_000
"""Of each interval of a leaderboard, which has thousands of them."""


@dataclass(frozen=True, eq=False)
class Runs:
    """The runs of one row."""

    learner: str
    settings: tuple[tuple[str, object], ...]
    by_seed: Mapping[int, Entry]


def make_rows(
    runs: Sequence[Runs],
    columns: Mapping[str, Column],
    plasticity: Mapping[Path, float | Undefined],
    reference: Runs | None,
) -> list[Row]:
    """A row for each, ranked against one another, best average accuracy first.

    `plasticity` has a ratio, or why there is none, for the path of every run.
    """
    seeds = tuple(sorted({seed for row in runs for seed in row.by_seed}))
    rows = []
    for row in runs:
        per_seed = _per_seed(row, seeds, columns, plasticity, reference)
        rows.append(_row(row, seeds, _differing(row, runs), per_seed))
    ranked = with_ranks(rows, columns)
    return sorted(ranked, key=_order)


def estimate(name: str, by_seed: BySeed) -> Estimate | Undefined:
    """The mean over seeds, geometric for the ratios of samples, which come as log2."""
    found = mean_over_seeds(by_seed, resamples=RESAMPLES)
    return as_ratio(found) if name in EFFICIENCY else found


def ranks(by_seeds: Sequence[BySeed], column: Column) -> list[Ranks | Undefined]:
    """The rank intervals of all rows by one column."""
    if column.better == "neither":
        return [Undefined("neither direction is better") for _ in by_seeds]
    higher = column.better == "higher"
    return rank_intervals(by_seeds, higher=higher)


@dataclass(frozen=True, eq=False)
class _Unranked:
    """A row and, by metric, the values that are averaged and ranked: log2 of ratios of samples."""

    row: Row
    compared: Mapping[str, BySeed]


def with_ranks(rows: Sequence[_Unranked], columns: Mapping[str, Column]) -> list[Row]:
    """The rows with their rank intervals."""
    by_metric = {
        name: ranks([row.compared[name] for row in rows], column)
        for name, column in columns.items()
    }
    return [
        replace(
            found.row,
            ranks={name: _rank(found.row, name, by[place]) for name, by in by_metric.items()},
        )
        for place, found in enumerate(rows)
    ]


def _rank(row: Row, name: str, found: Ranks | Undefined) -> Ranks | Undefined:
    """What has no value has no ranks for the same reason."""
    value = row.values[name]
    return value if isinstance(value, Undefined) else found


def _row(
    runs: Runs, seeds: Sequence[int], settings: str, per_seed: Mapping[str, BySeed]
) -> _Unranked:
    status: dict[int, Status] = {
        seed: runs.by_seed[seed].status if seed in runs.by_seed else "missing" for seed in seeds
    }
    compared = {
        name: log_ratios(by_seed, runs.by_seed) if name in EFFICIENCY else by_seed
        for name, by_seed in per_seed.items()
    }
    row = Row(
        learner=runs.learner,
        settings=settings,
        configured=runs.settings,
        seeds=tuple(seeds),
        status=status,
        reasons={seed: entry.reason for seed, entry in runs.by_seed.items() if entry.reason},
        runs={seed: entry.path for seed, entry in sorted(runs.by_seed.items())},
        values={name: estimate(name, by_seed) for name, by_seed in compared.items()},
        per_seed=per_seed,
        ranks={},
        flags=tuple(_flags(runs, status)),
    )
    return _Unranked(row, compared)


def _per_seed(
    runs: Runs,
    seeds: Sequence[int],
    columns: Mapping[str, Column],
    plasticity: Mapping[Path, float | Undefined],
    reference: Runs | None,
) -> dict[str, BySeed]:
    """By metric and seed, the numbers of the runs, those that need other runs included."""
    values: dict[str, BySeed] = {}
    for name in columns:
        if name in EFFICIENCY:
            compared = reference.by_seed if reference else None
            values[name] = efficiencies(runs.by_seed, compared, seeds, EFFICIENCY[name])
        else:
            values[name] = {seed: _value(runs, seed, name, plasticity) for seed in seeds}
    return values


def _value(
    runs: Runs, seed: int, name: str, plasticity: Mapping[Path, float | Undefined]
) -> float | Undefined:
    entry = runs.by_seed.get(seed)
    if entry is None:
        return NO_RUN
    if name == PLASTICITY and entry.status == "done":
        return plasticity[entry.path]
    return entry.value(name)


def _differing(row: Runs, runs: Sequence[Runs]) -> str:
    return differing(
        row.settings, [other.settings for other in runs if other.learner == row.learner]
    )


def differing(
    own: tuple[tuple[str, object], ...], alike: Iterable[tuple[tuple[str, object], ...]]
) -> str:
    """What tells settings from all those of the same learner, `alike`; empty if they are alone.

    A value that more than half of these have is not named, so that variations of one setting are
    called by what they vary.
    """
    others = list(map(dict, alike))
    found = []
    for name, value in own:
        values = [other.get(name) for other in others]
        if any(other != value for other in values) and 2 * values.count(value) <= len(values):
            found.append(f"{name}={value}")
    return ", ".join(found)


def _flags(runs: Runs, status: Mapping[int, Status]) -> list[str]:
    """What a reader has to mind about a row."""
    entries = runs.by_seed.values()
    counts = Counter(status.values())
    flags = [
        f"{counts[state]} of {len(status)} seeds {said}"
        for state, said in _SAID.items()
        if counts[state]
    ]
    if len(status) == 1 or counts["done"] == 1:
        flags.append("one seed")
    if any(entry.code.dirty for entry in entries):
        flags.append("dirty tree")
    if len({entry.code.source_hash for entry in entries}) > 1:
        flags.append("mixed code")
    plugins = dict.fromkeys(name for entry in entries for name in entry.code.plugins)
    return [*flags, *(f"plug-in {name}" for name in plugins)]


def _order(row: Row) -> tuple[bool, float, str]:
    """Best average accuracy first, rows without one last."""
    value = row.values["average_accuracy"]
    if isinstance(value, Undefined):
        return True, 0.0, row.label
    return False, -value.value, row.label
