"""A report as CSV: every number of its boards, and of its runs where its page has not all."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from io import StringIO

from cl_bench.contract.text import printable
from cl_bench.metrics.stats.ranks import Ranks
from cl_bench.metrics.stats.student import Estimate, Interval
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.board import Board, Overall
from cl_bench.report.page.contents import Contents

_BOARD = ("board", "model", "learner", "settings", "shown")
_NUMBER = ("metric", "mean", "low", "high", "n", "of_n", "unit", "better")
_RANK = ("rank_best", "rank_worst", "ranked", "why_none")
_RUN = ("run", "stream", "learner", "model", "seed", "status", "board")


def runs_csv(contents: Contents) -> str:
    """A line for every run: what it is, its numbers (empty where there is none) and its problems;
    and a line for everything that could not be read."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_RUN, *contents.columns, "problems"])
    writer.writerows(_runs(contents))
    return text.getvalue()


def boards_csv(contents: Contents) -> str:
    """A line for every board, learner, setting and metric: mean over n seeds, the ends of its 95 %
    interval, and its rank interval, or why there is no mean.

    Values are raw, in the `unit` beside them; `shown` is 1 of the setting that stands for its
    learner, else 0. Lines of the board `all streams` are means over streams.
    """
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_BOARD, *_NUMBER, *_RANK])
    for overall in contents.leaderboard.overall:
        writer.writerows(_board("all streams", overall, contents))
    for board, title in zip(contents.leaderboard.boards, contents.titles, strict=True):
        writer.writerows(_board(title, board, contents))
    return text.getvalue()


def _board(title: str, board: Board | Overall, contents: Contents) -> Iterator[list[object]]:
    for chosen in board.rows:
        for row in (chosen, *chosen.folded):
            facts = (title, board.model, row.learner, row.settings, str(int(row is chosen)))
            for name, column in board.columns.items():
                value, rank = row.values[name], row.ranks[name]
                why = contents.local(value.reason) if isinstance(value, Undefined) else ""
                places = [rank.best, rank.worst, rank.of] if isinstance(rank, Ranks) else [""] * 3
                measured = [*_numbers(value), column.unit, column.better]
                yield [*map(printable, facts), name, *measured, *places, printable(why)]


def _numbers(value: Estimate | Undefined) -> list[object]:
    if isinstance(value, Undefined):
        return ["", "", "", 0, ""]
    ends = value.interval
    low_high = [repr(ends.low), repr(ends.high)] if isinstance(ends, Interval) else ["", ""]
    return [repr(value.value), *low_high, value.seeds, value.of_seeds]


def _runs(contents: Contents) -> Iterator[list[object]]:
    columns = contents.columns
    for one in contents.runs:
        of, board = one.facts, "" if one.board is None else contents.titles[one.board]
        values = [one.metrics.get(name) for name in columns]
        numbers = ["" if v is None or isinstance(v, Undefined) else repr(v) for v in values]
        said = map(contents.local, one.problems)
        facts = [of.name, of.stream, of.learner, of.model, of.seed, of.status, board]
        yield [*map(printable, facts), *numbers, printable("; ".join(said))]
    for problem in contents.problems:
        if str(problem.path) not in contents.names:
            name, reason = map(contents.local, (str(problem.path), problem.reason))
            facts = [printable(name), *[""] * 4, problem.kind, ""]
            yield [*facts, *[""] * len(columns), printable(reason)]
