"""All runs of a report as CSV, for where they are too many for its page."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from io import StringIO

from cl_bench.contract.text import printable
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.page.contents import Contents

_HEAD = ("run", "stream", "learner", "model", "seed", "status", "board")


def runs_csv(contents: Contents) -> str:
    """A line for every run: what it is, its numbers (empty where there is none) and its problems;
    and a line for everything that could not be read."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_HEAD, *contents.columns, "problems"])
    writer.writerows(_lines(contents))
    return text.getvalue()


def _lines(contents: Contents) -> Iterator[list[object]]:
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
