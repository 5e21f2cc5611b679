"""Two learners compared seed by seed: differences with intervals, exact tests, items."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from cl_bench.analysis.comparability import other_items
from cl_bench.analysis.efficiency import efficiencies, log_ratios
from cl_bench.analysis.entries import (
    EFFICIENCY,
    PLASTICITY,
    RunEntry,
    Settings,
    columns,
    damage_told,
    own_metrics,
    read_entry,
)
from cl_bench.analysis.item_changes import ItemChanges, item_changes
from cl_bench.analysis.learner_settings import AS_MOST, telling_settings
from cl_bench.analysis.paired import PairedDifference, mean_over_seeds
from cl_bench.analysis.pairs import Pair
from cl_bench.analysis.run_values import Column, Measured
from cl_bench.contract.errors import RunDirectoryError, UsageError, unknown
from cl_bench.metrics.comparison import PermutationTest
from cl_bench.metrics.quantities import LEVEL
from cl_bench.metrics.stats.student import Estimate, as_ratio
from cl_bench.metrics.undefined import Undefined
from cl_bench.store.remote import fetched
from cl_bench.store.run_tables import RunTables, find_runs

_ALL: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Side:
    """The runs of one side, by seed."""

    path: Path
    """As it was given: a run or a folder of runs."""
    chosen: Mapping[str, object]
    """The settings that were asked for on this side."""
    entries: Mapping[int, RunEntry]
    runs: Mapping[int, Measured]

    @property
    def learner(self) -> str:
        return next(iter(self.entries.values())).learner

    @property
    def settings(self) -> dict[str, object]:
        """Everything about learning that was configured, but the seed."""
        return dict(next(iter(self.entries.values())).settings)

    def own_settings(self, other: Side) -> dict[str, object]:
        """The settings that both have and do not share, and those that were asked for."""
        theirs = other.settings
        own = {n: of for n, of in self.settings.items() if n in theirs and theirs[n] != of}
        return {**own, **self.chosen}


def _read(path: Path, learner: str | None) -> list[tuple[RunEntry, RunTables]]:
    """The runs at or below `path`, or of these the ones of `learner`; none may be damaged."""
    runs, broken = find_runs([path])
    if broken:
        raise RunDirectoryError(broken[0].reason)
    return [(_entry(run), run) for run in _of_learner(path, runs, learner)]


def _side(
    key: str, path: Path, read: list[tuple[RunEntry, RunTables]], settings: Mapping[str, object]
) -> Side:
    """The side `key`, A or B, of these runs; of several values of a setting, those with the one
    that `settings` want.

    Runs of several learners or settings and two of one seed are refused: what is compared has to
    be one thing.
    """
    there = {
        name: {_written(_values(entry).get(name)) for entry, _ in read}
        for name in _spoken_of(settings, key)
    }
    chosen = {
        name: value
        for name, value in _spoken_of(settings, key).items()
        if len(there[name]) > 1 or f"{key}.{name}" in settings
    }
    for name, value in chosen.items():
        if _written(value) not in there[name]:
            raise _no_such(f"{path}, side {key},", name, value, there[name])
        read = [one for one in read if _written(_values(one[0]).get(name)) == _written(value)]
    if not read:
        said = " and ".join(f"{name}={_written(value)}" for name, value in chosen.items())
        raise UsageError(
            f"{path}, side {key}, has no run with {said} at once. Give fewer of these; what is "
            "left to choose from is then said."
        )
    _require_one(key, path, [entry for entry, _ in read])
    entries: dict[int, RunEntry] = {}
    for entry, _ in read:
        if entry.seed in entries:
            raise UsageError(
                f"{path} holds two runs of seed {entry.seed}: {entries[entry.seed].path} and "
                f"{entry.path}. Name one of them, or a folder with one run a seed."
            )
        entries[entry.seed] = entry
    ordered = sorted(entries)
    measured = {entry.seed: Measured(run) for entry, run in read}
    return Side(path, chosen, {s: entries[s] for s in ordered}, {s: measured[s] for s in ordered})


def _of_learner(path: Path, runs: Sequence[RunTables], learner: str | None) -> list[RunTables]:
    if learner is None:
        return list(runs)
    found = [run for run in runs if run.manifest.get("learner") == learner]
    if not found:
        names = sorted({str(run.manifest.get("learner")) for run in runs})
        raise UsageError(
            f"{path} holds no run of {learner!r}, but of {', '.join(names)}. Name one of these."
        )
    return found


def _entry(run: RunTables) -> RunEntry:
    with damage_told(run.path):
        return read_entry(run)


def _require_one(key: str, path: Path, entries: list[RunEntry]) -> None:
    """Refuse runs that are not of one learner with one setting on one stream."""
    learners = sorted({entry.learner for entry in entries})
    if len(learners) > 1:
        raise UsageError(
            f"{path} holds runs of {len(learners)} learners ({', '.join(learners)}). Name the runs "
            "of one, or pick two with `--learners A,B`; `cl-bench report` compares many."
        )
    first = entries[0]
    for other in entries[1:]:
        if lines := first.setup.key.differences(other.setup.key):
            raise UsageError(
                f"{path} holds runs of several kinds: {first.path} and {other.path} differ in "
                f"{'; '.join(lines)}. Name the runs of one kind, or choose by `--set NAME=VALUE`."
            )
    alike: dict[Settings, list[str]] = {}
    for entry in entries:
        alike.setdefault(entry.settings, []).append(str(entry.seed))
    if len(alike) > 1:
        told = telling_settings((first.learner, of) for of in alike)[first.learner]
        choices = {_in_full(told(of), of, alike): seeds for of, seeds in alike.items()}
        named = next(said for said in map(told, alike) if said != AS_MOST)
        said = "; ".join(f"{of} (seeds {', '.join(seeds)})" for of, seeds in choices.items())
        raise UsageError(
            f"{path} holds runs of {first.learner} with {len(alike)} settings: {said}. Choose by "
            f"`--set {key}.{named.split(', ')[-1]}`, or several of these."
        )


def _in_full(told: str, own: Settings, alike: Iterable[Settings]) -> str:
    """How settings are told from others; those that are as most are, with the values that vary."""
    if told != AS_MOST:
        return told
    others = [dict(other) for other in alike]
    varied = [f"{n}={value}" for n, value in own if any(of.get(n) != value for of in others)]
    return f"{told}, that is {', '.join(varied)}"


def _values(entry: RunEntry) -> dict[str, object]:
    """What `settings` may name: the conditions of a run, such as its feedback, and its settings."""
    return {**dict(entry.setup.key.conditions), **dict(entry.settings)}


def _written(value: object) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:.10g}" if is_number else str(value)


def _no_such(where: str, name: str, value: object, there: Iterable[str]) -> UsageError:
    known = ", ".join(sorted(there))
    return UsageError(
        f"{where} has no run with {name}={_written(value)}. It has: {known}. Give one of these."
    )


def _require_settings(
    wanted: Mapping[str, object], where: str, sides: Mapping[str, Iterable[RunEntry]]
) -> None:
    """Raise `UsageError` for a setting that no run has, and for a value that none has."""
    for name, value in wanted.items():
        side, _, own = name.rpartition(".")
        asked = [_values(of) for key in sides if side in ("", key) for of in sides[key]]
        there = {_written(of[own]) for of in asked if own in of}
        if not there:
            known = {of for entries in sides.values() for entry in entries for of in _values(entry)}
            raise unknown("setting of these runs", name, known)
        if _written(value) not in there:
            raise _no_such(where, own, value, there)


def why_not(first: Side, second: Side) -> list[str]:
    """Return why the two are not compared, a line each; empty when they compare."""
    one, other = (next(iter(side.entries.values())).setup.key for side in (first, second))
    shared = [seed for seed in first.entries if seed in second.entries]
    items = (other_items(first.entries[seed].setup, second.entries[seed].setup) for seed in shared)
    return [*one.differences(other), *(line for lines in items for line in lines)]


@dataclass(frozen=True)
class Difference:
    """One number of the two sides, over the seeds of which both have a value."""

    first: Estimate | Undefined
    second: Estimate | Undefined
    difference: Estimate | Undefined
    """Second minus first, seed by seed; all three are of the same seeds."""
    student_p: float | Undefined
    """Of the paired t test."""
    test: PermutationTest | Undefined
    """Exact, of the paired seeds."""
    seeds_needed: int | Undefined
    """Seeds that would decide a difference as large and as noisy as this one."""
    per_seed: Mapping[int, tuple[float | Undefined, float | Undefined]]
    """First and second by seed."""

    @property
    def is_sure(self) -> bool:
        """Whether both tests of the difference have p < 0.05; over 20 seeds, the t test alone."""
        if isinstance(self.student_p, Undefined):
            return False
        exact = self.student_p if isinstance(self.test, Undefined) else self.test.p
        return max(self.student_p, exact) < LEVEL


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
    settings: Mapping[str, object] = _ALL,
    anyway: bool = False,
) -> Comparison:
    """The runs at or below `second` against those at or below `first`, paired by seed; with
    `learners`, of either side those of one learner.

    Where a side has several `settings` of its learner, those with these values are taken; a name
    that begins with `A.` or `B.` speaks of the first or the second side alone.

    Runs that do not compare are a `UsageError` that says why, unless `anyway`; so are runs without
    a seed in common.
    """
    one, other = learners or (None, None)
    first, second = fetched(first), fetched(second)
    read = _read(first, one), _read(second, other)
    entries = {key: [entry for entry, _ in of] for key, of in zip("AB", read, strict=True)}
    _require_settings(settings, " and ".join({str(first): 0, str(second): 0}), entries)
    sides = (
        _side("A", first, read[0], settings),
        _side("B", second, read[1], settings),
    )
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


def _spoken_of(settings: Mapping[str, object], side: str) -> dict[str, object]:
    """Of all settings, those that speak of this side, by their own names."""
    parts = {name: name.rpartition(".") for name in settings}
    return {own: settings[name] for name, (of, _, own) in parts.items() if of in ("", side)}


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
        difference=paired.estimate(),
        student_p=paired.student_p(),
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
