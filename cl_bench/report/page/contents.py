"""Everything that a report says, before it is written as HTML or Markdown."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cl_bench.errors import ClBenchError
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.leaderboard import Board, Leaderboard, Problem, leaderboard
from cl_bench.report.page.bands import drawn
from cl_bench.report.page.board_record import DrawnBoard
from cl_bench.report.page.digest import Digest, digest
from cl_bench.run_metrics import run_metrics
from cl_bench.run_tables import RunTables, Unreadable


@dataclass(frozen=True, eq=False)
class ShownRun:
    """A run with a page of its own."""

    digest: Digest
    metrics: Mapping[str, float | Undefined]
    board: int | None
    """Which board it is on; None for a run that is on none, such as a second one of a seed."""
    problems: tuple[str, ...]
    """What is wrong with it, in words."""


@dataclass(frozen=True, eq=False)
class Contents:
    """A report."""

    leaderboard: Leaderboard
    boards: Sequence[DrawnBoard]
    """Beside `leaderboard.boards`."""
    runs: Sequence[ShownRun]
    """By name."""
    names: Mapping[str, str]
    """The names of runs on the page, by path."""
    problems: Sequence[Problem]
    """Of the leaderboard, and tables that could not be read."""


def contents(runs: Sequence[RunTables], unreadable: Sequence[Unreadable]) -> Contents:
    """Read all runs and rank them; same tables, same contents."""
    found = leaderboard(runs, unreadable)
    names = run_names([run.path for run in runs])
    digests: dict[str, Digest] = {}
    damaged: list[Problem] = []
    for run in runs:
        try:
            digests[str(run.path)] = digest(run, names[str(run.path)])
        except ClBenchError as error:
            damaged.append(Problem(run.path, "unreadable", str(error)))
    known = {problem.path for problem in found.problems if problem.kind == "unreadable"}
    problems = [*found.problems, *(one for one in damaged if one.path not in known)]
    anchors = _anchors(found.boards)
    return Contents(
        leaderboard=found,
        boards=[
            _drawn(board, anchor, digests)
            for board, anchor in zip(found.boards, anchors, strict=True)
        ],
        runs=_shown(runs, found, digests, problems),
        names={path: name for path, name in names.items() if path in digests},
        problems=problems,
    )


def run_names(paths: Sequence[Path]) -> dict[str, str]:
    """By path, what a page calls each run: its place below the folder that all have in common."""
    if not paths:
        return {}
    top = Path(os.path.commonpath([path.absolute().parent for path in paths]))
    return {str(path): path.absolute().relative_to(top).as_posix() for path in paths}


def _drawn(board: Board, anchor: str, digests: Mapping[str, Digest]) -> DrawnBoard:
    def of(paths: Mapping[int, Path]) -> dict[int, Digest]:
        return {seed: digests[str(p)] for seed, p in paths.items() if str(p) in digests}

    rows = [drawn(of(row.runs), lambda: np.random.default_rng(0)) for row in board.rows]
    return DrawnBoard(board, anchor, rows)


def _shown(
    runs: Sequence[RunTables],
    found: Leaderboard,
    digests: Mapping[str, Digest],
    problems: Sequence[Problem],
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
    shown = [
        ShownRun(
            digests[path],
            metrics[path] if path in metrics else run_metrics(run),
            places.get(path),
            tuple(said.get(path, ())),
        )
        for run in runs
        if (path := str(run.path)) in digests
    ]
    return sorted(shown, key=lambda one: one.digest.name)


def _anchors(boards: Sequence[Board]) -> list[str]:
    """A name for links to each board: `math-to-code`, and `math-to-code-2` for a second one."""
    taken: dict[str, int] = {}
    anchors = []
    for board in boards:
        name = re.sub(r"[^a-z0-9]+", "-", board.key.stream.lower()).strip("-")[:60] or "board"
        taken[name] = taken.get(name, 0) + 1
        anchors.append(f"board-{name}" if taken[name] == 1 else f"board-{name}-{taken[name]}")
    return anchors
