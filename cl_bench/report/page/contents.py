"""Everything that a report says, before it is written as HTML or Markdown."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

from cl_bench.analysis.run_values import METRIC_VERSION, Column, run_metrics
from cl_bench.contract.text import counted
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.board import Board, Leaderboard, Overall, RankedRow, RunProblem, titles
from cl_bench.report.leaderboard import ranked
from cl_bench.report.page.bands import drawn
from cl_bench.report.page.board_record import MOST_DRAWN, DrawnBoard
from cl_bench.report.page.digest import Digest, curves_alone
from cl_bench.report.page.reading import Reading, RunFacts
from cl_bench.report.plasticity_tables import PlasticityTable
from cl_bench.store.remote import with_urls
from cl_bench.store.run_tables import RunTables, Unreadable

MOST_RUNS = 2_000
"""Of more runs than this, the page lists so many and carries their details: a browser opens it."""
MOST_ROWS, MOST_ON_PAGE, MOST_FOLDED = 100, 500, 20
"""Rows that a page shows of one board, and as many that fold under them; of all boards together;
and settings that fold under one row."""
MOST_PROBLEMS = 1_000
RUNS_CSV = "leaderboard-runs.csv"
"""The file beside the page that has all runs, where the page has not."""
_Row = TypeVar("_Row", bound=RankedRow)


@dataclass(frozen=True, eq=False)
class ShownRun:
    """A run of a report."""

    facts: RunFacts
    path: str
    metrics: Mapping[str, float | Undefined]
    board: int | None
    """Which board it is on; None for a run that is on none, such as a second one of a seed."""
    problems: tuple[str, ...]
    """Why the run is not, or not wholly, on a board."""
    reading: Reading

    @property
    def digest(self) -> Digest:
        """Its digest, read anew from where all are kept."""
        return self.reading.digest(self.path)


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

    @cached_property
    def listed(self) -> Sequence[ShownRun]:
        """The runs that the page lists, by name: all, or of very many those with problems, and
        then the first seeds of every row."""
        if len(self.runs) <= MOST_RUNS:
            return self.runs
        rows = (row for board in self.leaderboard.boards for row in board.every_row)
        place = {str(path): n for row in rows for n, path in enumerate(row.runs.values())}
        first = sorted(self.runs, key=lambda one: (not one.problems, place.get(one.path, 0)))
        return sorted(first[:MOST_RUNS], key=lambda one: one.facts.name)

    @cached_property
    def linked(self) -> Mapping[str, str]:
        """The names of the runs that the page lists, by path."""
        return {one.path: one.facts.name for one in self.listed}

    @property
    def learners(self) -> set[str]:
        """The names of all learners."""
        return {one.facts.learner for one in self.runs}

    @property
    def unlisted(self) -> str:
        """A sentence on the runs that the page does not list; empty where it lists all."""
        if len(self.listed) == len(self.runs):
            return ""
        return (
            f"Listed are {len(self.listed):,} of {len(self.runs):,} runs: those with problems, "
            f"then the first seeds of every row. {RUNS_CSV} beside this page has all."
        )

    @cached_property
    def shown(self) -> Sequence[tuple[DrawnBoard, str]]:
        """The boards that the page shows, with their titles: all, or of very many those first that
        compare most rows."""
        boards = list(zip(self.boards, self.titles, strict=True))
        most = sorted(range(len(boards)), key=lambda n: -len(boards[n][0].board.rows))
        rows = accumulate(len(boards[number][0].board.every_row) for number in most)
        kept = [n for n, total in zip(most, rows, strict=True) if total <= MOST_ON_PAGE]
        return [boards[number] for number in sorted(kept)]

    @property
    def cut(self) -> bool:
        """Whether the page leaves out runs, boards, rows or problems."""
        rows = sum(len(board.every_row) for board in self.leaderboard.boards)
        return (
            len(self.listed) < len(self.runs)
            or sum(len(one.board.every_row) for one, _ in self.shown) < rows
            or len(self.problems) > MOST_PROBLEMS
        )

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
    *,
    jobs: int = 1,
) -> Contents:
    """Read all runs and rank them; same tables, same contents.

    `tables` are those of `cl-bench plasticity` beside the runs. Many runs are read by `jobs`
    processes.
    """
    reading = Reading(runs, run_names([run.path for run in runs]), jobs)
    found = ranked(reading, unreadable, tables)
    known = {str(problem.path) for problem in found.problems if problem.kind == "unreadable"}
    problems = [*found.problems, *(one for one in reading.damaged if str(one.path) not in known)]
    facts = {path: one for path, one in reading.facts.items() if path not in known}
    anchors = _anchors(found.boards)
    return Contents(
        leaderboard=replace(found, overall=tuple(map(_best_of_all, found.overall))),
        boards=[
            _drawn(_best_rows(board), anchor, facts, reading)
            for board, anchor in zip(found.boards, anchors, strict=True)
        ],
        titles=titles(found.boards),
        runs=_shown(runs, found, facts, problems, reading),
        names={path: one.name for path, one in facts.items()},
        problems=problems,
        top=common_folder([*(run.path for run in runs), *(one.path for one in unreadable)]),
    )


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


def _drawn(
    board: Board, anchor: str, facts: Mapping[str, RunFacts], reading: Reading
) -> DrawnBoard:
    rows, stages = [], None
    for row in board.rows:
        paths = {seed: str(path) for seed, path in row.runs.items() if str(path) in facts}
        of_row = {seed: curves_alone(reading.digest(path)) for seed, path in paths.items()}
        rows.append(drawn(of_row))
        stages = stages or next((one.stages for one in of_row.values()), None)
    return DrawnBoard(board, anchor, rows, [(domain, steps) for domain, _, steps in stages or ()])


def _best_rows(board: Board) -> Board:
    """The board with the rows that a page shows."""
    count, notes = len(board.rows), []
    if count > MOST_ROWS:
        notes.append(f"Shown are the best {MOST_ROWS} of {count:,} rows; {RUNS_CSV} has all runs")
    if count > MOST_DRAWN:
        notes.append(f"Figure files draw the best {MOST_DRAWN} rows")
    rows, cut = _best_settings(board.rows[:MOST_ROWS])
    return replace(board, rows=rows, notes=(*notes, *cut, *board.notes))


def _best_settings(rows: Sequence[_Row]) -> tuple[tuple[_Row, ...], list[str]]:
    """The rows with the settings that a page shows below them, and notes on the others."""
    shown, notes, room = [], [], MOST_ROWS
    for row in rows:
        folded = row.folded[: min(MOST_FOLDED, room)]
        room -= len(folded)
        if len(folded) < len(row.folded):
            notes.append(
                f"Shown are the best {len(folded)} of {len(row.folded):,} other settings of "
                f"{row.name}"
            )
        shown.append(replace(row, folded=folded))
    return tuple(shown), notes


def _best_of_all(overall: Overall) -> Overall:
    """The same of the rows over all streams."""
    rows, cut = _best_settings(overall.rows)
    return replace(overall, rows=rows, notes=(*cut, *overall.notes))


def _shown(
    runs: Sequence[RunTables],
    found: Leaderboard,
    facts: Mapping[str, RunFacts],
    problems: Sequence[RunProblem],
    reading: Reading,
) -> list[ShownRun]:
    """The runs by name, with the metrics that the boards have of them."""
    metrics: dict[str, dict[str, float | Undefined]] = {}
    places: dict[str, int] = {}
    for number, board in enumerate(found.boards):
        for row in board.every_row:
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
        if place in facts:
            known = metrics[place] if place in metrics else run_metrics(run)
            wrong = tuple(said.get(place, ()))
            shown.append(ShownRun(facts[place], place, known, places.get(place), wrong, reading))
    return sorted(shown, key=lambda one: one.facts.name)


def _anchors(boards: Sequence[Board]) -> list[str]:
    """A name for links to each board: `math-to-code`, and `math-to-code-2` for a second one."""
    anchors: dict[str, None] = {}
    last: dict[str, int] = {}
    for board in boards:
        words = re.sub(r"[^a-z0-9]+", "-", board.key.stream.lower()).strip("-")[:60]
        anchor = name = f"board-{words}".strip("-")
        while anchor in anchors:
            last[name] = last.get(name, 1) + 1
            anchor = f"{name}-{last[name]}"
        anchors[anchor] = None
    return list(anchors)


def more_problems(contents: Contents) -> str:
    """A sentence on the problems that a page does not name; empty where it names all."""
    count = len(contents.problems)
    if count <= MOST_PROBLEMS:
        return ""
    return (
        f"Named are {MOST_PROBLEMS:,} of {count:,} problems; {RUNS_CSV} beside this page has all."
    )


TITLE = "Continual learning of language models: leaderboard"
_READING = """
A board holds runs that can be compared: one stream in one version, the same test problems, sampler,
model, budget and metrics. What differs in any of these stands on another board, and the notes say
why.

A value is a mean over seeds; below it stands its 95 % interval over seeds by Student's t, which
knows no bounds and may reach beyond 0 and 100 %, and the bar shows both on one scale for the whole
column. One seed has no interval: test problems of one run say nothing of another run. Nor have
seeds that all have the same value.

Ranks are intervals too: rank 2–4 of 5 says that one learner is significantly better and one
significantly worse, and that these runs tell nothing of the others. Significantly means a paired t
test over the seeds that two learners share, at 5 % for all pairs of the column together. With few
seeds that test can hardly tell anybody apart, so that ranks need a number of seeds that grows with
the number of learners: “3 of 8 seeds needed to rank” says that five are lacking.
The rank column follows the column that the table is sorted by; arrows in headings say whether more
(↑) or less (↓) is better. Wall time ranks nobody: it depends on the machine, its threads and its
load, which runs of one board need not share.

Each learner has one row. If it was run with several settings, the row is of the one with the most
finished seeds, of equally many of the model’s preset, and if that is not among them of the one with
the best average accuracy; the others fold under it, without ranks.

A dash stands where a number cannot be computed; the reason stands below the table. Runs that
failed, diverged or are missing are counted in “k of n seeds” and listed under problems.
"""
HOW_TO_READ = tuple(" ".join(text.split()) for text in _READING.strip().split("\n\n"))
"""Paragraphs."""


def introduction(contents: Contents) -> list[str]:
    """Sentences that count runs, problems and flags."""
    runs, boards = contents.runs, contents.leaderboard.boards
    streams, models = {board.key.stream for board in boards}, {board.model for board in boards}
    read = (
        f"{counted(len(runs), 'run')} of {counted(len(contents.learners), 'learner')} on "
        f"{counted(len(streams), 'stream')} with {counted(len(models), 'model')}. Every number is "
        f"computed from the runs’ tables alone (metric version {METRIC_VERSION})."
    )
    lines = [read]
    if hidden := len(boards) - len(contents.shown):
        lines.append(
            f"Shown are {len(contents.shown):,} of {len(boards):,} boards, those with most rows; "
            f"{RUNS_CSV} beside this page has the runs of the other {hidden:,}."
        )
    kinds = Counter(problem.kind for problem in contents.problems)
    flags = Counter(flag for board in boards for row in board.every_row for flag in row.flags)
    wrong = [f"{number} {kind}" for kind, number in sorted(kinds.items())]
    if wrong:
        lines.append(f"Problems: {', '.join(wrong)}.")
    if flags:
        flagged = ", ".join(f"{flag} ({number})" for flag, number in sorted(flags.items()))
        lines.append(f"Rows to read with care: {flagged}.")
    return lines
