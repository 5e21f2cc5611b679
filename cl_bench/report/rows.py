"""The rows of a board from its runs: means over seeds, intervals, rank intervals, flags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cl_bench.analysis.efficiency import efficiencies, log_ratios
from cl_bench.analysis.entries import EFFICIENCY, PLASTICITY, Settings, Status
from cl_bench.analysis.learner_settings import Runs, choose, telling_settings
from cl_bench.analysis.paired import NO_RUN, BySeed, mean_over_seeds
from cl_bench.analysis.run_values import Column
from cl_bench.contract.registry import REFERENCE_LEARNER
from cl_bench.metrics.stats.ranks import Ranks, rank_intervals, seeds_to_rank
from cl_bench.metrics.stats.student import Estimate, as_ratio
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.board import BoardRow

MOST_RANKED = 100
"""Of more rows than this none is ranked: every pair of rows would be tested."""
_TOO_MANY = Undefined(f"over {MOST_RANKED} rows are not ranked: every pair would be tested")
FOLDED = Undefined("another setting stands for its learner")
_SAID: Mapping[Status, str] = {
    "missing": "missing",
    "failed": "failed",
    "diverged": "diverged",
    "running": "unfinished",
}


def make_rows(
    runs: Sequence[Runs],
    columns: Mapping[str, Column],
    plasticity: Mapping[Path, float | Undefined],
    model: str,
) -> list[BoardRow]:
    """A row for each learner, ranked against one another, best average accuracy first; its other
    settings fold under it.

    `plasticity` has a ratio, or why there is none, for the path of every run; `model` is the one
    that all were made with.
    """
    by_learner: dict[str, list[Runs]] = {}
    for one in runs:
        by_learner.setdefault(one.learner, []).append(one)
    chosen = [choose([one.candidate for one in alike], model) for alike in by_learner.values()]
    shown = [alike[place] for alike, (place, _) in zip(by_learner.values(), chosen, strict=True)]
    reference = next((one for one in shown if one.learner == REFERENCE_LEARNER), None)
    make = _RowMaker(columns, plasticity, reference, telling_settings(map(_named, runs)))
    seeds = tuple(sorted({seed for row in shown for seed in row.by_seed}))
    per_seed = [make.per_seed(row, seeds) for row in shown]
    compared = [_comparable(of, row) for row, of in zip(shown, per_seed, strict=True)]
    numbers = means_and_ranks(compared, columns)
    rows = []
    for row, of, found, (_, why) in zip(shown, per_seed, numbers, chosen, strict=True):
        alike = by_learner[row.learner]
        others = [make.folded(one) for one in alike if one is not row]
        rows.append(make.row(row, seeds, of, *found, choice_of(len(alike), why), others))
    return sorted(rows, key=lambda row: row.order)


def choice_of(settings: int, why: str) -> str:
    """What a row says of its learner's `settings`; nothing of a single one."""
    return f"1 of {settings} settings, {why}" if settings > 1 else ""


def _named(runs: Runs) -> tuple[str, Settings]:
    return runs.learner, runs.settings


@dataclass(frozen=True, eq=False)
class _RowMaker:
    """Makes the rows of one board."""

    columns: Mapping[str, Column]
    plasticity: Mapping[Path, float | Undefined]
    reference: Runs | None
    telling: Mapping[str, Callable[[Settings], str]]

    def folded(self, runs: Runs) -> BoardRow:
        """The row of a setting that does not stand for its learner, over its own seeds."""
        seeds = tuple(sorted(runs.by_seed))
        of = self.per_seed(runs, seeds)
        compared = _comparable(of, runs)
        values = {name: estimate(name, compared[name]) for name in self.columns}
        ranks: dict[str, Ranks | Undefined] = dict.fromkeys(self.columns, FOLDED)
        return self.row(runs, seeds, of, values, ranks, "", [])

    def row(
        self,
        runs: Runs,
        seeds: tuple[int, ...],
        per_seed: Mapping[str, BySeed],
        values: Mapping[str, Estimate | Undefined],
        ranks: Mapping[str, Ranks | Undefined],
        choice: str,
        folded: Iterable[BoardRow],
    ) -> BoardRow:
        status: dict[int, Status] = {
            seed: runs.by_seed[seed].status if seed in runs.by_seed else "missing" for seed in seeds
        }
        return BoardRow(
            learner=runs.learner,
            settings=self.telling[runs.learner](runs.settings),
            configured=runs.settings,
            values=values,
            per_seed=per_seed,
            ranks=ranks,
            choice=choice,
            folded=tuple(sorted(folded, key=lambda row: row.order)),
            seeds=seeds,
            status=status,
            reasons={seed: entry.reason for seed, entry in runs.by_seed.items() if entry.reason},
            runs={seed: entry.path for seed, entry in sorted(runs.by_seed.items())},
            flags=tuple(_flags(runs, status)),
        )

    def per_seed(self, runs: Runs, seeds: Sequence[int]) -> dict[str, BySeed]:
        """By metric and seed, the numbers of the runs, those that need other runs included."""
        values: dict[str, BySeed] = {}
        for name in self.columns:
            if name in EFFICIENCY:
                compared = self.reference.by_seed if self.reference else None
                values[name] = efficiencies(runs.by_seed, compared, seeds, EFFICIENCY[name])
            else:
                values[name] = {seed: self._value(runs, seed, name) for seed in seeds}
        return values

    def _value(self, runs: Runs, seed: int, name: str) -> float | Undefined:
        entry = runs.by_seed.get(seed)
        if entry is None:
            return NO_RUN
        if name == PLASTICITY and entry.status == "done":
            return self.plasticity[entry.path]
        return entry.value(name)


def _comparable(per_seed: Mapping[str, BySeed], runs: Runs) -> dict[str, BySeed]:
    """The values that are averaged: of ratios of samples, their log2."""
    return {
        name: log_ratios(of, runs.by_seed) if name in EFFICIENCY else of
        for name, of in per_seed.items()
    }


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
    """Rank intervals of those with enough seeds in common; why the others have none."""
    if column.better == "neither":
        return [Undefined("neither direction is better") for _ in by_seeds]
    if len(by_seeds) > MOST_RANKED:
        return [_TOO_MANY for _ in by_seeds]
    seeds = [{s for s, value in of.items() if not isinstance(value, Undefined)} for of in by_seeds]
    others = sum(map(bool, seeds))
    if others < 2:
        return [Undefined("there is no other learner") for _ in by_seeds]
    lacking = _lacking(seeds, seeds_to_rank(others))
    ranked = [of for of, why in zip(by_seeds, lacking, strict=True) if why is None]
    found = iter(rank_intervals(ranked, higher=column.better == "higher"))
    return [next(found) if why is None else why for why in lacking]


def _lacking(seeds: Sequence[set[int]], needed: int) -> list[Undefined | None]:
    """What keeps each learner, of these seeds, from being ranked; None of one that another has
    enough seeds in common with."""
    found: list[Undefined | None] = []
    for place, own in enumerate(seeds):
        others = (other for at, other in enumerate(seeds) if at != place)
        if len(own) < needed:
            found.append(Undefined(f"{len(own)} of {needed} seeds needed to rank"))
        elif any(len(own & other) >= needed for other in others):
            found.append(None)
        else:
            found.append(Undefined(f"no other learner has {needed} of its seeds, needed to rank"))
    return found


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
