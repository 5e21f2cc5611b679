"""The report as Markdown: the same boards, runs and problems, with figures as files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cl_bench.analysis.run_values import Column
from cl_bench.contract.text import counted
from cl_bench.metrics.quantities import NOTHING, SHARE
from cl_bench.metrics.stats.ranks import Ranks
from cl_bench.metrics.stats.student import Estimate
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.blocks import (
    Block,
    Bullets,
    CodeSpan,
    Folded,
    Heading,
    Paragraph,
    Picture,
    Table,
    Text,
)
from cl_bench.report.blocks.drawings import Drawing
from cl_bench.report.blocks.look import learner_look
from cl_bench.report.board import BoardRow, Overall, RankedRow
from cl_bench.report.page.board_record import DrawnBoard
from cl_bench.report.page.boards import seeds_of
from cl_bench.report.page.cells import RANKED_BY, SPENT, parted, short
from cl_bench.report.page.contents import (
    HOW_TO_READ,
    MOST_PROBLEMS,
    RUNS_CSV,
    TITLE,
    Contents,
    introduction,
    more_problems,
)

_MOST_RUNS = 200
"""Of more runs than this, the twin lists none: the page does."""


def blocks(contents: Contents, drawings: Mapping[str, Drawing]) -> list[Block]:
    """The whole twin; `drawings` are the figures there are, by name."""
    found: list[Block] = [Heading(1, TITLE, "top")]
    found += [Paragraph(line) for line in introduction(contents)]
    found.append(
        Paragraph(
            "The page beside this file, leaderboard.html, has every run’s curves and prompts."
        )
    )
    for overall in contents.leaderboard.overall:
        found += _overall(overall, contents)
    for drawn, title in contents.shown:
        found += _board(drawn, title, drawings)
    found += _runs(contents)
    found += _problems(contents)
    found.append(Heading(2, "How to read this page", "reading"))
    return [*found, *(Paragraph(text) for text in HOW_TO_READ)]


def _overall(overall: Overall, contents: Contents) -> Iterator[Block]:
    streams = "; ".join(contents.titles[place] for place in overall.boards) or "none"
    yield Heading(2, f"All streams, {overall.model}", "overall")
    yield Paragraph(f"Means over streams: {streams}.")
    seeds = [f"{seeds_of(row)} of {len(row.per_seed[RANKED_BY])}" for row in overall.rows]
    yield _table("", overall.columns, overall.rows, seeds)
    yield Bullets(overall.notes)


def _board(drawn: DrawnBoard, title: str, drawings: Mapping[str, Drawing]) -> Iterator[Block]:
    board = drawn.board
    yield Heading(2, title, drawn.anchor)
    yield Paragraph(f"Model {board.model}; {board.budget}.")
    main, more = parted(board)
    seeds = list(map(_seeds, board.rows))
    caption = "Means over seeds [95 % intervals over seeds]"
    yield _table(caption, main, board.rows, seeds)
    if more:
        folded = _table("", more, board.rows, seeds)
        yield Folded("More numbers", [folded])
    flags = [f"{row.name}: {', '.join(row.flags)}" for row in board.rows if row.flags]
    yield Bullets([*flags, *board.notes, *_undefined(drawn)])
    yield Folded("What these runs have in common", [Bullets(board.words)])
    for name in drawings:
        if name.startswith(f"{drawn.anchor}."):
            what = name.removeprefix(f"{drawn.anchor}.").replace("-", " ")
            yield Picture(name, f"{board.stream}: {what}")


def _undefined(drawn: DrawnBoard) -> Iterator[str]:
    """Return a line for every metric and reason why a value is missing, with its rows."""
    rows: dict[tuple[str, str], list[str]] = {}
    for row in drawn.board.rows:
        for name, column in drawn.board.columns.items():
            if isinstance(value := row.values[name], Undefined):
                rows.setdefault((column.title, value.reason), []).append(row.name)
    for (title, reason), names in rows.items():
        whose = "" if len(names) == len(drawn.board.rows) else f", {'; '.join(names)}"
        yield f"{title}{whose}: {reason}"


def _table(
    caption: str,
    columns: Mapping[str, Column],
    rows: Sequence[RankedRow],
    seeds: Sequence[str],
) -> Table:
    cells = [
        [
            _rank(row.ranks.get(RANKED_BY)),
            row.name,
            done,
            *(_value(c, row.values[name], seeds_of(row)) for name, c in columns.items()),
        ]
        for row, done in zip(rows, seeds, strict=True)
    ]
    heads = [_heading(name, column) for name, column in columns.items()]
    return Table(caption, ["rank", "learner", "seeds", *heads], cells, heading=1)


def _runs(contents: Contents) -> Iterator[Block]:
    yield Heading(2, "Runs", "runs")
    if len(contents.runs) > _MOST_RUNS:
        where = RUNS_CSV if contents.unlisted else "leaderboard.html"
        yield Paragraph(f"{counted(len(contents.runs), 'run')}, listed in {where}.")
        return
    rows: list[list[Text]] = []
    for one in contents.runs:
        facts = one.facts
        accuracy = one.metrics.get(RANKED_BY, Undefined("not measured"))
        rows.append(
            [
                CodeSpan(facts.name),
                facts.stream,
                learner_look(facts.learner).label,
                facts.seed,
                facts.status,
                SHARE.number(accuracy),
            ]
        )
    columns = ("run", "stream", "learner", "seed", "status", "average accuracy, %")
    yield Table("", columns, rows)


def _problems(contents: Contents) -> Iterator[Block]:
    yield Heading(2, "Problems", "problems")
    if not contents.problems:
        yield Paragraph("None.")
        return
    rows: list[list[Text]] = [
        [
            CodeSpan(contents.names.get(str(one.path)) or contents.local(str(one.path))),
            one.kind,
            contents.local(one.reason),
        ]
        for one in contents.problems[:MOST_PROBLEMS]
    ]
    if more := more_problems(contents):
        yield Paragraph(more)
    yield Table("", ("run", "problem", "reason"), rows)


def _heading(name: str, column: Column) -> str:
    unit = column.quantity.heading
    arrow = {"higher": "↑", "lower": "↓"}.get(column.better, "")
    named = f"{short(name, column)}, {unit}" if unit else short(name, column)
    return f"{named} {arrow}".rstrip()


def _rank(ranks: Ranks | Undefined | None) -> str:
    return NOTHING if ranks is None or isinstance(ranks, Undefined) else str(ranks)


def _value(column: Column, value: Estimate | Undefined, seeds: int) -> str:
    """With its interval; how many seeds it rests on where they are not the row's `seeds`."""
    if isinstance(value, Undefined):
        return NOTHING
    of = column.quantity
    ends = "" if of in SPENT else of.interval(value.interval)
    text = f"{of.number(value.value)} {ends}".rstrip()
    return text if value.seeds == seeds else f"{text}, {value.seeds} of {value.of_seeds}"


def _seeds(row: BoardRow) -> str:
    done = sum(status == "done" for status in row.status.values())
    others = [f"{seed} {status}" for seed, status in row.status.items() if status != "done"]
    return f"{done} of {len(row.seeds)}" + (f" ({', '.join(others)})" if others else "")
