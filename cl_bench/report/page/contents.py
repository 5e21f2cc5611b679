"""Everything that a report says, before it is written as HTML or Markdown."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from cl_bench.analysis.entries import DAMAGED
from cl_bench.analysis.run_values import METRIC_VERSION, Column, run_metrics
from cl_bench.contract.text import counted
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.board import Board, Leaderboard, RunProblem, titles
from cl_bench.report.leaderboard import leaderboard
from cl_bench.report.page.bands import drawn
from cl_bench.report.page.board_record import DrawnBoard
from cl_bench.report.page.digest import READ, Digest, digest
from cl_bench.report.plasticity_tables import PlasticityTable
from cl_bench.store.remote import with_urls
from cl_bench.store.run_tables import RunTables, Selective, Unreadable
from cl_bench.store.schema import TABLES

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class ShownRun:
    """A run with a page of its own."""

    digest: Digest
    metrics: Mapping[str, float | Undefined]
    board: int | None
    """Which board it is on; None for a run that is on none, such as a second one of a seed."""
    problems: tuple[str, ...]
    """Why the run is not, or not wholly, on a board."""


@dataclass(frozen=True, eq=False)
class Contents:
    """A report."""

    leaderboard: Leaderboard
    boards: Sequence[DrawnBoard]
    """Beside `leaderboard.boards`."""
    titles: Sequence[str]
    """Of the boards, each once."""
    runs: Sequence[ShownRun]
    """By name."""
    names: Mapping[str, str]
    """The names of runs on the page, by path."""
    problems: Sequence[RunProblem]
    """Of the leaderboard, tables that could not be read, and figures that could not be drawn."""
    top: Path
    """The folder that all runs lie below."""

    @property
    def columns(self) -> dict[str, Column]:
        """The numbers that any board has, by name."""
        return {n: c for board in self.leaderboard.boards for n, c in board.columns.items()}

    def local(self, text: str) -> str:
        """The text with paths as they are below `top`, so that it names no machine's folders."""
        top = f"{self.top}{os.sep}"
        return (text if _is_copied(top) else with_urls(text)).replace(top, "")


def contents(
    runs: Sequence[RunTables],
    unreadable: Sequence[Unreadable] = (),
    tables: Sequence[PlasticityTable] = (),
) -> Contents:
    """Read all runs and rank them; same tables, same contents.

    `tables` are those of `cl-bench plasticity` beside the runs.
    """
    reading = _Reading(runs)
    found = leaderboard(reading, unreadable, tables)
    known = {str(problem.path) for problem in found.problems if problem.kind == "unreadable"}
    problems = [*found.problems, *(one for one in reading.damaged if str(one.path) not in known)]
    digests = {path: one for path, one in reading.digests.items() if path not in known}
    anchors = _anchors(found.boards)
    return Contents(
        leaderboard=found,
        boards=[
            _drawn(board, anchor, digests)
            for board, anchor in zip(found.boards, anchors, strict=True)
        ],
        titles=titles(found.boards),
        runs=_shown(runs, found, digests, problems),
        names={path: one.name for path, one in digests.items()},
        problems=problems,
        top=common_folder([*(run.path for run in runs), *(one.path for one in unreadable)]),
    )


class _Reading:
    """Runs to be ranked one after the other, each of which is digested before the next comes: so
    its tables are read once, and those of one run at a time are in memory."""

    def __init__(self, runs: Sequence[RunTables]) -> None:
        self._runs = runs
        self._names = run_names([run.path for run in runs])
        self.digests: dict[str, Digest] = {}
        """By path."""
        self.damaged: list[RunProblem] = []

    def __iter__(self) -> Iterator[RunTables]:
        for run in self._runs:
            kept: RunTables = Kept(run) if isinstance(run, Selective) else run
            yield kept
            path = str(kept.path)
            try:
                self.digests[path] = digest(kept, self._names[path])
            except DAMAGED as error:
                self.damaged.append(RunProblem(kept.path, "unreadable", str(error)))


def run_names(paths: Sequence[Path]) -> dict[str, str]:
    """By path, what a page calls each run: its place below the folder that all have in common,
    without the suffix of a packed run."""
    if not paths:
        return {}
    top = common_folder(paths)
    copied = _is_copied(f"{top}{os.sep}")
    whole = {
        str(path): with_urls(str(path)).replace("://", "/").lstrip("/")
        if _is_copied(str(path)) and not copied
        else path.absolute().relative_to(top).as_posix()
        for path in paths
    }
    short = {path: name.removesuffix(".zip") for path, name in whole.items()}
    taken = Counter(short.values())
    return {path: name if taken[name] == 1 else whole[path] for path, name in short.items()}


def _is_copied(path: str) -> bool:
    """Tell whether it is a copy of what is at a URL."""
    return with_urls(path) != path


def common_folder(paths: Sequence[Path]) -> Path:
    """The folder that everything lies below."""
    return Path(os.path.commonpath([path.absolute().parent for path in paths]))


def _drawn(board: Board, anchor: str, digests: Mapping[str, Digest]) -> DrawnBoard:
    of_rows = [
        {seed: digests[str(path)] for seed, path in row.runs.items() if str(path) in digests}
        for row in board.rows
    ]
    rows = [drawn(of_row) for of_row in of_rows]
    known = next((one for of_row in of_rows for one in of_row.values()), None)
    stages = [(domain, steps) for domain, _, steps in known.stages] if known else []
    return DrawnBoard(board, anchor, rows, stages)


def _shown(
    runs: Sequence[RunTables],
    found: Leaderboard,
    digests: Mapping[str, Digest],
    problems: Sequence[RunProblem],
) -> list[ShownRun]:
    """The runs by name, with the metrics that the boards have of them."""
    metrics: dict[str, dict[str, float | Undefined]] = {}
    places: dict[str, int] = {}
    for number, board in enumerate(found.boards):
        for row in board.rows:
            for seed, path in row.runs.items():
                places[str(path)] = number
                metrics[str(path)] = {
                    name: values[seed] for name, values in row.per_seed.items() if seed in values
                }
    said: dict[str, list[str]] = {}
    for problem in problems:
        said.setdefault(str(problem.path), []).append(f"{problem.kind}: {problem.reason}")
    shown = []
    for run in runs:
        place = str(run.path)
        if place in digests:
            known = metrics[place] if place in metrics else run_metrics(run)
            wrong = tuple(said.get(place, ()))
            shown.append(ShownRun(digests[place], known, places.get(place), wrong))
    return sorted(shown, key=lambda one: one.digest.name)


def _anchors(boards: Sequence[Board]) -> list[str]:
    """A name for links to each board: `math-to-code`, and `math-to-code-2` for a second one."""
    anchors: list[str] = []
    for board in boards:
        words = re.sub(r"[^a-z0-9]+", "-", board.key.stream.lower()).strip("-")[:60]
        name = f"board-{words}".strip("-")
        others = (f"{name}-{number}" for number in count(2))
        anchors.append(next(each for each in chain([name], others) if each not in anchors))
    return anchors


class Kept:
    """A run as `RunTables` and `Selective`, of which what was read is kept: the leaderboard and the
    digest both ask for it."""

    def __init__(self, run: Any) -> None:
        """`run` is both, too."""
        self._run = run
        self._tables: dict[str, pa.Table] = {}

    @property
    def path(self) -> Path:
        """The path of the run."""
        return Path(self._run.path)

    @cached_property
    def manifest(self) -> Mapping[str, Any]:
        """The run's manifest, as it was when first asked for."""
        manifest: Mapping[str, Any] = self._run.manifest
        return manifest

    def table(self, name: str) -> pd.DataFrame:
        """All rows of a table."""
        return self._run.table(name)

    def select(
        self, name: str, columns: Sequence[str] | None = None, *, first: bool = False
    ) -> pa.Table:
        """Columns of a table, as `Selective.select`; those of a digest are read with the first."""
        wanted = TABLES[name].names if columns is None else columns
        known = self._tables.get(name)
        if known is None or not {"step", *wanted} <= set(known.column_names):
            known = self._run.select(name, ("step", *wanted, *READ[name]))
            self._tables[name] = known
        found = known.select([column for column in known.column_names if column in wanted])
        return found.slice(0, _first_rows(known)) if first else found


def _first_rows(table: pa.Table) -> int:
    """Return the number of rows of the first evaluation, which were written first."""
    steps = table["step"].to_numpy()
    return int((steps == steps[0]).sum()) if len(steps) else 0


TITLE = "Continual learning of language models: leaderboard"
_READING = """
A board holds runs that can be compared: one stream in one version, the same test problems, sampler,
model, budget and metrics. What differs in any of these stands on another board, and the notes say
why.

A value is a mean over seeds; below it stands its 95 % interval over seeds by Student's t, which
knows no bounds and may reach beyond 0 and 100 %, and the bar shows both on one scale for the whole
column. One seed has no interval: test problems of one run say nothing of another run. Nor have
seeds that all have the same value.

Ranks are intervals too: rank 2–4 of 5 says that one learner is surely better and one surely worse,
and that these runs tell nothing of the others. Surely means a paired t test over the seeds that two
learners share, at 5 % for all pairs of the column together, and never with fewer than 3 such seeds.
The rank column follows the column that the table is sorted by; arrows in headings say whether more
(↑) or less (↓) is better. Wall time ranks nobody: it depends on the machine, its threads and its
load, which runs of one board need not share.

A dash stands where a number cannot be computed; the letter beside it leads to the reason. Runs that
failed, diverged or are missing are counted in “k of n seeds” and listed under problems.
"""
HOW_TO_READ = tuple(" ".join(text.split()) for text in _READING.strip().split("\n\n"))
"""Paragraphs."""


def introduction(contents: Contents) -> list[str]:
    """Sentences that count runs, problems and flags."""
    runs, boards = contents.runs, contents.leaderboard.boards
    learners = {str(one.digest.manifest["learner"]) for one in runs}
    streams, models = {board.key.stream for board in boards}, {board.model for board in boards}
    read = (
        f"{counted(len(runs), 'run')} of {counted(len(learners), 'learner')} on "
        f"{counted(len(streams), 'stream')} with {counted(len(models), 'model')}. Every number is "
        f"computed from the runs’ tables alone (metric version {METRIC_VERSION})."
    )
    lines = [read]
    kinds = Counter(problem.kind for problem in contents.problems)
    flags = Counter(flag for board in boards for row in board.rows for flag in row.flags)
    wrong = [f"{number} {kind}" for kind, number in sorted(kinds.items())]
    if wrong:
        lines.append(f"Problems: {', '.join(wrong)}.")
    if flags:
        flagged = ", ".join(f"{flag} ({number})" for flag, number in sorted(flags.items()))
        lines.append(f"Rows to read with care: {flagged}.")
    return lines
