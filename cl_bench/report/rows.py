"""The rows of a board from its runs: means over seeds, intervals, rank intervals, flags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cl_bench.analysis.efficiency import efficiencies, log_ratios
from cl_bench.analysis.entries import EFFICIENCY, PLASTICITY, RunEntry, Settings, Status
from cl_bench.analysis.paired import NO_RUN, BySeed, mean_over_seeds
from cl_bench.analysis.run_values import Column
from cl_bench.metrics.stats.ranks import Ranks, rank_intervals
from cl_bench.metrics.stats.student import Estimate, as_ratio
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.board import BoardRow

MOST_RANKED = 100
"""Of more rows than this none is ranked: every pair of rows would be tested."""
_TOO_MANY = Undefined(f"over {MOST_RANKED} rows are not ranked: every pair would be tested")
_SAID: Mapping[Status, str] = {
    "missing": "missing",
    "failed": "failed",
    "diverged": "diverged",
    "running": "unfinished",
}


@dataclass(frozen=True, eq=False)
class Runs:
    """The runs of one row."""

    learner: str
    settings: Settings
    by_seed: Mapping[int, RunEntry]


def make_rows(
    runs: Sequence[Runs],
    columns: Mapping[str, Column],
    plasticity: Mapping[Path, float | Undefined],
    reference: Runs | None,
) -> list[BoardRow]:
    """A row for each, ranked against one another, best average accuracy first.

    `plasticity` has a ratio, or why there is none, for the path of every run.
    """
    seeds = tuple(sorted({seed for row in runs for seed in row.by_seed}))
    per_seed = [_per_seed(row, seeds, columns, plasticity, reference) for row in runs]
    compared = [
        {n: log_ratios(of[n], row.by_seed) if n in EFFICIENCY else of[n] for n in columns}
        for row, of in zip(runs, per_seed, strict=True)
    ]
    telling = telling_settings((row.learner, row.settings) for row in runs)
    rows = []
    for row, of, (values, ranks) in zip(
        runs, per_seed, means_and_ranks(compared, columns), strict=True
    ):
        status: dict[int, Status] = {
            seed: row.by_seed[seed].status if seed in row.by_seed else "missing" for seed in seeds
        }
        found = BoardRow(
            learner=row.learner,
            settings=telling[row.learner](row.settings),
            configured=row.settings,
            values=values,
            per_seed=of,
            ranks=ranks,
            seeds=seeds,
            status=status,
            reasons={seed: entry.reason for seed, entry in row.by_seed.items() if entry.reason},
            runs={seed: entry.path for seed, entry in sorted(row.by_seed.items())},
            flags=tuple(_flags(row, status)),
        )
        rows.append(found)
    return sorted(rows, key=lambda row: row.order)


def means_and_ranks(
    compared: Sequence[Mapping[str, BySeed]], columns: Mapping[str, Column]
) -> list[tuple[dict[str, Estimate | Undefined], dict[str, Ranks | Undefined]]]:
    """Of every row, by metric: the mean over seeds, and its rank interval among the rows.

    `compared` are the values that are averaged and ranked: of ratios of samples, their log2. A
    number that is undefined has no ranks for the same reason.
    """
    ranked = {name: _ranks([of[name] for of in compared], c) for name, c in columns.items()}
    found = []
    for place, of in enumerate(compared):
        values = {name: estimate(name, of[name]) for name in columns}
        ranks = {
            name: value if isinstance(value, Undefined) else ranked[name][place]
            for name, value in values.items()
        }
        found.append((values, ranks))
    return found


def estimate(name: str, by_seed: BySeed) -> Estimate | Undefined:
    """The mean over seeds, geometric for the ratios of samples, which come as log2."""
    found = mean_over_seeds(by_seed)
    return as_ratio(found) if name in EFFICIENCY else found


def _ranks(by_seeds: Sequence[BySeed], column: Column) -> list[Ranks | Undefined]:
    if column.better == "neither":
        return [Undefined("neither direction is better") for _ in by_seeds]
    if len(by_seeds) > MOST_RANKED:
        return [_TOO_MANY for _ in by_seeds]
    return rank_intervals(by_seeds, higher=column.better == "higher")


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


def telling_settings(rows: Iterable[tuple[str, Settings]]) -> dict[str, Callable[[Settings], str]]:
    """By learner, what gives the settings that tell one of its rows from the others of `rows`."""
    alike: dict[str, list[Settings]] = {}
    for learner, settings in rows:
        alike.setdefault(learner, []).append(settings)
    return {learner: _differing(of_learner) for learner, of_learner in alike.items()}


def _differing(alike: Iterable[Settings]) -> Callable[[Settings], str]:
    """Return what gives the settings that tell one of `alike`, all of the same learner, from the
    others; empty if it is alone.

    A value that more than half of these have is not named, so that variations of one setting are
    called by what they vary.
    """
    others = [dict(settings) for settings in alike]
    names = dict.fromkeys(name for other in others for name in other)
    counts = Counter((name, _hashable(other.get(name))) for other in others for name in names)

    def told(own: Settings) -> str:
        return ", ".join(
            f"{name}={value}"
            for name, value in own
            if 2 * counts[name, _hashable(value)] <= len(others)
        )

    return told


def _hashable(value: object) -> object:
    """Return the value, or what is written for one that cannot be counted."""
    return repr(value) if isinstance(value, list | dict) else value


def _flags(runs: Runs, status: Mapping[int, Status]) -> list[str]:
    """The warnings for a reader of a row."""
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
