"""Which runs make a board, which of these a row, and why the others are elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cl_bench.analysis.comparability import Key, other_items
from cl_bench.analysis.entries import STATUSES, Entry
from cl_bench.report.board import Problem, Row
from cl_bench.report.rows import Runs


@dataclass(eq=False)
class Group:
    """Runs that are compared: one key, and the same test problems for the same seed."""

    key: Key
    entries: list[Entry] = field(default_factory=list)
    apart: list[str] = field(default_factory=list)
    """Why these are not with others of the same key."""

    _asked: dict[int, Entry] = field(default_factory=dict)
    """By seed, a run whose test problems are known."""

    def clash(self, entry: Entry) -> list[str]:
        """The test problems in which a run differs from one of its seed."""
        known = self._asked.get(entry.seed)
        return other_items(entry.setup, known.setup) if known else []

    def knows(self, entry: Entry) -> bool:
        """Whether the test problems of the run's seed are known here."""
        return entry.seed in self._asked

    def add(self, entry: Entry) -> None:
        """Take a run in that does not clash."""
        self.entries.append(entry)
        if entry.setup.items:
            self._asked.setdefault(entry.seed, entry)


def groups(entries: Iterable[Entry]) -> list[Group]:
    """All runs in groups, in the order of stream, model and budget.

    Runs of one key that have other problems for a seed make a group of their own: something that
    should have raised a version did not. A run whose seed says nothing goes with the first ones.
    """
    by_key: dict[Key, list[Group]] = {}
    for entry in sorted(entries, key=lambda entry: entry.path):
        _join(by_key.setdefault(entry.setup.key, []), entry)
    found = [group for alike in by_key.values() for group in alike]
    return sorted(found, key=lambda group: _place(group.key))


def _join(alike: list[Group], entry: Entry) -> None:
    clashes = [group.clash(entry) for group in alike]
    fitting = [group for group, clash in zip(alike, clashes, strict=True) if not clash]
    fitting.sort(key=lambda group: not group.knows(entry))
    if fitting:
        fitting[0].add(entry)
        return
    apart = sorted({line for clash in clashes for line in clash})
    group = Group(entry.setup.key, apart=apart)
    group.add(entry)
    for other in alike:
        other.apart += [line for line in group.apart if line not in other.apart]
    alike.append(group)


def _place(key: Key) -> tuple[str, ...]:
    return key.stream, key.version, key.model_name, *key.words()


def rows_of_group(group: Group) -> tuple[list[Runs], list[Problem]]:
    """The runs by learner and settings, one a seed; those that are left out because there is
    another of the same seed, of which a finished one is taken, or else the first by path."""
    by_row: dict[tuple[str, str], dict[int, Entry]] = {}
    problems = []
    for entry in sorted(group.entries, key=lambda entry: STATUSES.index(entry.status)):
        taken = by_row.setdefault((entry.learner, str(entry.settings)), {})
        other = taken.setdefault(entry.seed, entry)
        if other is not entry:
            reason = f"the same learner, settings and seed as {other.path}, which is ranked"
            problems.append(Problem(entry.path, "duplicate", reason))
    runs = [
        Runs(learner, next(iter(by_seed.values())).settings, by_seed)
        for (learner, _), by_seed in sorted(by_row.items())
    ]
    return runs, problems


def notes_elsewhere(group: Group, others: Sequence[Group]) -> list[str]:
    """Why runs on streams of the same name are not ranked here; the nearest first."""
    notes = [f"Runs of the same key are ranked apart: {line}" for line in group.apart]
    alike: dict[tuple[str, ...], list[Group]] = {}
    for other in others:
        if other.key.stream == group.key.stream and other.key != group.key:
            alike.setdefault(group.key.differing(other.key), []).append(other)
    for names in sorted(alike, key=len):
        first, *more = alike[names]
        line = f"{_labels(first)} ({'; '.join(group.key.differences(first.key))})"
        further = f", and {sum(len(other.entries) for other in more)} runs that differ in the same"
        notes.append(f"Not ranked here: {line}{further if more else ''}")
    return notes


def seeds_note(rows: Iterable[Row]) -> list[str]:
    """A note if the rows' numbers are means over different seeds."""
    labels: dict[tuple[int, ...], list[str]] = {}
    for row in rows:
        done = tuple(seed for seed in row.seeds if row.status[seed] == "done")
        labels.setdefault(done, []).append(row.label)
    labels.pop((), None)
    if len(labels) < 2:
        return []
    said = "; ".join(
        f"{', '.join(names)}: {', '.join(map(str, seeds))}"
        for seeds, names in sorted(labels.items(), key=lambda one: (-len(one[0]), one[0]))
    )
    note = (
        f"Its rows are means over different seeds ({said}): by these alone they differ, even "
        "before training. Rank intervals compare the seeds that two rows share"
    )
    return [note]


def code_note(entries: Iterable[Entry]) -> list[str]:
    """A note if the rows were made by several versions of the code."""
    count = len({entry.code.source_hash for entry in entries})
    return [f"Its runs were made by {count} versions of the code"] if count > 1 else []


def _labels(group: Group) -> str:
    learners: Mapping[str, None] = dict.fromkeys(sorted(e.learner for e in group.entries))
    count = len(group.entries)
    return f"{count} run{'s' if count > 1 else ''} of {', '.join(learners)}"
