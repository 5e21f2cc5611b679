"""The leaderboard: which learners did how well on what, with intervals instead of bare ranks.

Runs are ranked together when they compare (`cl_bench.analysis.comparability`). A row is a learner
with one setting, under which its others fold; its numbers are means over seeds, a seed that failed,
diverged or is missing is counted and never replaced. docs/leaderboard.md explains it to users.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cl_bench.analysis.comparability import VALIDATION, Key, other_items
from cl_bench.analysis.entries import (
    DAMAGED,
    STATUSES,
    RunEntry,
    columns,
    own_metrics,
    read_entry,
)
from cl_bench.analysis.learner_settings import Runs
from cl_bench.analysis.responses import said_of
from cl_bench.analysis.run_values import Column, RunMetric
from cl_bench.contract.answers import MOST_CUT_OFF
from cl_bench.contract.errors import ClBenchError
from cl_bench.contract.registry import REFERENCE_LEARNER
from cl_bench.contract.text import counted
from cl_bench.metrics.quantities import SHARE
from cl_bench.metrics.samples import ConstantAnswer
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.look import learner_label
from cl_bench.report.board import (
    Board,
    BoardRow,
    Leaderboard,
    RunProblem,
)
from cl_bench.report.overall import overall
from cl_bench.report.plasticity_tables import PlasticityTable, ratios
from cl_bench.report.rows import make_rows
from cl_bench.store.run_tables import RunTables, Unreadable

_MOST_OTHERS = 100
"""Boards of one stream that are told apart one by one."""


def leaderboard(
    runs: Iterable[RunTables],
    unreadable: Iterable[Unreadable] = (),
    tables: Sequence[PlasticityTable] = (),
) -> Leaderboard:
    """The leaderboard of these runs; `unreadable` ones are named among its problems.

    `tables` are those of `cl-bench plasticity`; runs that are their probes are left out.
    """
    return ranked(map(entry_of, runs), unreadable, tables)


def entry_of(run: RunTables) -> RunEntry | RunProblem:
    """The entry of a run, or why it has none; of its tables nothing is kept."""
    try:
        return read_entry(run)
    except DAMAGED as error:
        damage = f"its manifest or tables are not those of a run ({type(error).__name__}: {error})"
        said = str(error) if isinstance(error, ClBenchError) else damage
        return RunProblem(run.path, "unreadable", said)


def ranked(
    read: Iterable[RunEntry | RunProblem],
    unreadable: Iterable[Unreadable] = (),
    tables: Sequence[PlasticityTable] = (),
) -> Leaderboard:
    """As `leaderboard`, of runs that were read already."""
    entries, problems = [], []
    for one in read:
        if isinstance(one, RunProblem):
            problems.append(one)
        elif not any(table.made(one) for table in tables):
            entries.append(one)
    problems += [RunProblem(broken.path, "unreadable", broken.reason) for broken in unreadable]
    problems += [
        RunProblem(
            entry.path,
            "unfinished" if entry.status == "running" else entry.status,
            entry.reason or f"its status is {entry.status}",
        )
        for entry in entries
        if entry.status != "done"
    ]
    found = groups(entries)
    by_stream: dict[str, list[Group]] = {}
    for group in found:
        by_stream.setdefault(group.key.stream, []).append(group)
    boards = []
    for group in found:
        board, duplicates = _board(group, by_stream[group.key.stream], tables)
        boards.append(board)
        problems += duplicates
    ordered = sorted(problems, key=lambda problem: (problem.path, problem.kind))
    return Leaderboard(tuple(boards), tuple(overall(boards)), tuple(ordered))


def _board(
    group: Group, others: Sequence[Group], tables: Sequence[PlasticityTable]
) -> tuple[Board, list[RunProblem]]:
    runs, duplicates = rows_of_group(group)
    entries = [entry for row in runs for entry in row.by_seed.values()]
    shown = _columns(entries)
    rows = make_rows(runs, shown, ratios(entries, tables), group.key.model_name)
    found = next((row for row in rows if row.learner == REFERENCE_LEARNER), None)
    key = group.key
    sought = "validation" if any(name == VALIDATION for name, _ in key.sampler) else "test"
    notes = []
    if found is not None:
        notes.append(
            f"Sample efficiency is measured against {found.name}, its peak on {sought} problems"
        )
    board = Board(
        key=key,
        words=key.words(),
        stream=f"{key.stream}, version {key.version}",
        model=key.model_name or key.model,
        budget=f"{' + '.join(f'{samples:,}' for samples in key.budget)} training samples",
        reference=None if found is None else found.label,
        columns=shown,
        rows=tuple(rows),
        notes=(
            *(*notes, *seeds_note(rows), *cut_off_notes(rows), *constant_notes(rows, runs)),
            *(*code_note(entries), *notes_elsewhere(group, others)),
        ),
    )
    return board, duplicates


def _columns(entries: Sequence[RunEntry]) -> dict[str, Column]:
    """Every column but those that runs have by their settings alone and none here has."""

    def some_have(name: str) -> bool:
        return any(not isinstance(entry.value(name), Undefined) for entry in entries)

    return {
        name: column
        for name, column in columns(own_metrics(entries)).items()
        if not (isinstance(column, RunMetric) and column.asked_for) or some_have(name)
    }


@dataclass(eq=False)
class Group:
    """Runs that are compared: one key, and the same test problems for the same seed."""

    key: Key
    entries: list[RunEntry] = field(default_factory=list)
    apart: list[str] = field(default_factory=list)
    """Why these are not with others of the same key."""

    _asked: dict[int, RunEntry] = field(default_factory=dict)
    """By seed, a run whose test problems are known."""

    def clash(self, entry: RunEntry) -> list[str]:
        """The test problems in which a run differs from one of its seed."""
        known = self._asked.get(entry.seed)
        return other_items(entry.setup, known.setup) if known else []

    def knows(self, entry: RunEntry) -> bool:
        """Whether the test problems of the run's seed are known here."""
        return entry.seed in self._asked

    def add(self, entry: RunEntry) -> None:
        """Take a run in that does not clash."""
        self.entries.append(entry)
        if entry.setup.items:
            self._asked.setdefault(entry.seed, entry)


def groups(entries: Iterable[RunEntry]) -> list[Group]:
    """All runs in groups, in the order of stream, model and budget.

    Runs of one key that have other problems for a seed make a group of their own: something that
    should have raised a version did not. A run whose seed says nothing goes with the first ones.
    """
    by_key: dict[Key, list[Group]] = {}
    for entry in sorted(entries, key=lambda entry: entry.path):
        _join(by_key.setdefault(entry.setup.key, []), entry)
    found = [group for alike in by_key.values() for group in alike]
    return sorted(
        found,
        key=lambda of: (of.key.stream, of.key.version, of.key.model_name, *of.key.words()),
    )


def _join(alike: list[Group], entry: RunEntry) -> None:
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


def rows_of_group(group: Group) -> tuple[list[Runs], list[RunProblem]]:
    """The runs by learner and settings, one a seed; those that are left out because there is
    another of the same seed, of which a finished one is taken, or else the first by path."""
    by_row: dict[tuple[str, str], dict[int, RunEntry]] = {}
    problems = []
    for entry in sorted(group.entries, key=lambda entry: STATUSES.index(entry.status)):
        taken = by_row.setdefault((entry.learner, str(entry.settings)), {})
        other = taken.setdefault(entry.seed, entry)
        if other is not entry:
            reason = f"the same learner, settings and seed as {other.path}, which is ranked"
            problems.append(RunProblem(entry.path, "duplicate", reason))
    runs = [
        Runs(learner, next(iter(by_seed.values())).settings, by_seed)
        for (learner, _), by_seed in sorted(by_row.items())
    ]
    return runs, problems


def notes_elsewhere(group: Group, others: Sequence[Group]) -> list[str]:
    """Return why runs on streams of the same name, `others`, are not ranked here; the nearest
    first. Where they are very many, it is said of how many."""
    notes = [f"Runs of the same key are ranked apart: {line}" for line in group.apart]
    if len(others) > _MOST_OTHERS:
        return [*notes, f"Not ranked here: {len(others) - 1:,} other boards of this stream"]
    alike: dict[tuple[str, ...], list[Group]] = {}
    for other in others:
        if other.key != group.key:
            alike.setdefault(group.key.differing(other.key), []).append(other)
    for names in sorted(alike, key=len):
        first, *more = alike[names]
        line = f"{_labels(first)} ({'; '.join(group.key.differences(first.key))})"
        count = counted(sum(len(other.entries) for other in more), "run")
        further = f", and {count} with the same differences"
        notes.append(f"Not ranked here: {line}{further if more else ''}")
    return notes


def seeds_note(rows: Iterable[BoardRow]) -> list[str]:
    """A note if the rows' numbers are means over different seeds."""
    labels: dict[tuple[int, ...], list[str]] = {}
    for row in rows:
        done = tuple(seed for seed in row.seeds if row.status[seed] == "done")
        labels.setdefault(done, []).append(row.name)
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


def cut_off_notes(rows: Iterable[BoardRow]) -> list[str]:
    """A note for each row most of whose responses were cut off at the stream's end."""
    shares = {row.name: row.values["truncation_rate"] for row in rows}
    return [
        f"{label}: at the end {SHARE.text(share.value)} of responses are cut off at the length "
        "limit, before they end"
        for label, share in shares.items()
        if not isinstance(share, Undefined) and share.value > MOST_CUT_OFF
    ]


def constant_notes(rows: Iterable[BoardRow], runs: Iterable[Runs]) -> list[str]:
    """A note for each row with domains where one answer earns most of the score at the end; of
    several seeds, the one where it earns most."""
    labels, notes = {row.key: row.name for row in rows}, []
    for of_row in runs:
        label = labels.get((of_row.learner, str(of_row.settings)))
        if label is None:  # it is folded
            continue
        found: dict[str, list[ConstantAnswer]] = {}
        for entry in of_row.by_seed.values():
            for domain, of in entry.constants.items():
                found.setdefault(domain, []).append(of)
        done = sum(entry.status == "done" for entry in of_row.by_seed.values())
        told = []
        for domain, answers in found.items():
            worst = said_of(domain, max(answers, key=lambda of: of.earned))
            which = f"the worst of {len(answers)} such runs" if len(answers) > 1 else "1 such run"
            told.append(f"{worst} ({which} of {done})" if done > 1 else worst)
        if told:
            notes.append(f"{label}: some of it may be guessing. {'; '.join(told)}")
    return notes


def code_note(entries: Iterable[RunEntry]) -> list[str]:
    """A note if the rows were made by several versions of the code."""
    count = len({entry.code.source_hash for entry in entries})
    return [f"Its runs were made by {count} versions of the code"] if count > 1 else []


def _labels(group: Group) -> str:
    learners = sorted({entry.learner for entry in group.entries})
    return f"{counted(len(group.entries), 'run')} of {', '.join(map(learner_label, learners))}"
