"""The leaderboard: which learners did how well on what, with intervals instead of bare ranks.

Runs are ranked together when they compare (`cl_bench.analysis.comparability`). A row is a learner
with one setting; its numbers are means over seeds, a seed that failed, diverged or is missing is
counted and never replaced. docs/leaderboard.md explains it to users.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from cl_bench.analysis.comparability import Key
from cl_bench.analysis.entries import DAMAGED, Entry, Status, columns, own_metrics, read_entry
from cl_bench.analysis.run_values import Column
from cl_bench.contract.errors import ClBenchError
from cl_bench.contract.registry import REFERENCE_LEARNER
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.board import (
    Board,
    Leaderboard,
    Overall,
    OverallRow,
    Problem,
    Row,
)
from cl_bench.report.grouping import (
    Group,
    code_note,
    groups,
    notes_elsewhere,
    rows_of_group,
    seeds_note,
)
from cl_bench.report.overall import overall
from cl_bench.report.plasticity_tables import PlasticityTable, find_tables, ratios
from cl_bench.report.rows import Runs, estimate, make_rows
from cl_bench.store.run_tables import RunTables, Unreadable, find_runs

__all__ = [
    "Board",
    "Column",
    "Leaderboard",
    "Overall",
    "OverallRow",
    "Problem",
    "Row",
    "Status",
    "leaderboard",
    "leaderboard_of",
]


def leaderboard_of(paths: Iterable[Path]) -> Leaderboard:
    """The leaderboard of all runs at or below the paths, with the plasticity tables beside them."""
    given = list(paths)
    runs, unreadable = find_runs(given)
    return leaderboard(runs, unreadable, find_tables(given))


def leaderboard(
    runs: Iterable[RunTables],
    unreadable: Iterable[Unreadable] = (),
    tables: Sequence[PlasticityTable] = (),
) -> Leaderboard:
    """The leaderboard of these runs; `unreadable` ones are named among its problems.

    `tables` are those of `cl-bench plasticity`; runs that are their probes are left out.
    """
    read, problems = _entries(runs)
    entries = [entry for entry in read if not any(table.made(entry) for table in tables)]
    problems += [Problem(broken.path, "unreadable", broken.reason) for broken in unreadable]
    problems += [problem for entry in entries for problem in _ended_badly(entry)]
    found = groups(entries)
    boards = []
    for group in found:
        board, duplicates = _board(group, found, tables)
        boards.append(board)
        problems += duplicates
    ordered = sorted(problems, key=lambda problem: (problem.path, problem.kind))
    return Leaderboard(tuple(boards), tuple(overall(boards)), tuple(ordered))


def _entries(runs: Iterable[RunTables]) -> tuple[list[Entry], list[Problem]]:
    entries, problems = [], []
    for run in runs:
        try:
            entries.append(read_entry(run))
        except DAMAGED as error:
            said = str(error) if isinstance(error, ClBenchError) else _described(error)
            problems.append(Problem(run.path, "unreadable", said))
    return entries, problems


def _described(error: Exception) -> str:
    return f"its manifest or tables are not those of a run ({type(error).__name__}: {error})"


def _ended_badly(entry: Entry) -> list[Problem]:
    if entry.status == "done":
        return []
    kind = "unfinished" if entry.status == "running" else entry.status
    return [Problem(entry.path, kind, entry.reason or f"its status is {entry.status}")]


def _board(
    group: Group, others: Sequence[Group], tables: Sequence[PlasticityTable]
) -> tuple[Board, list[Problem]]:
    runs, duplicates = rows_of_group(group)
    entries = [entry for row in runs for entry in row.by_seed.values()]
    shown = columns(own_metrics(entries))
    reference = _reference(runs)
    rows = make_rows(runs, shown, ratios(entries, tables), reference)
    label = _label(rows, reference)
    notes = [] if label is None else [f"Sample efficiency is measured against {label}"]
    key = group.key
    board = Board(
        key=key,
        words=key.words(),
        stream=f"{key.stream}, version {key.version}",
        model=key.model_name or key.model,
        budget=_budget(key),
        reference=label,
        columns=shown,
        rows=tuple(rows),
        notes=(*notes, *seeds_note(rows), *code_note(entries), *notes_elsewhere(group, others)),
    )
    return board, duplicates


def _reference(runs: Sequence[Runs]) -> Runs | None:
    """The row of the reference learner. Of several, the one with the most finished seeds; of equal
    ones, the one with the best average accuracy."""
    rows = [row for row in runs if row.learner == REFERENCE_LEARNER]
    return max(rows, key=_finished_then_accuracy, default=None)


def _finished_then_accuracy(row: Runs) -> tuple[int, float]:
    name = "average_accuracy"
    found = estimate(name, {seed: e.value(name) for seed, e in row.by_seed.items()})
    finished = sum(entry.status == "done" for entry in row.by_seed.values())
    return finished, -1.0 if isinstance(found, Undefined) else found.value


def _label(rows: Sequence[Row], reference: Runs | None) -> str | None:
    if reference is None:
        return None
    paths = {entry.path for entry in reference.by_seed.values()}
    return next(row.label for row in rows if paths & set(row.runs.values()))


def _budget(key: Key) -> str:
    return f"{' + '.join(f'{samples:,}' for samples in key.budget)} training samples"
