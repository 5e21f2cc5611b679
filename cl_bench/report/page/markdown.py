"""The report as Markdown: the same boards, runs and problems, with figures as files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cl_bench.contract.text import counted
from cl_bench.metrics.quantities import SHARE
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.blocks import (
    Block,
    Break,
    Bullets,
    CodeSpan,
    Folded,
    Heading,
    Paragraph,
    Picture,
    Prose,
    Strong,
    Table,
    Text,
)
from cl_bench.report.blocks.drawings import Drawing
from cl_bench.report.blocks.look import learner_look
from cl_bench.report.board import Board, BoardRow, Overall
from cl_bench.report.page.board_record import DrawnBoard
from cl_bench.report.page.cells import RANKED_BY, parted, short
from cl_bench.report.page.contents import (
    HOW_TO_READ,
    MOST_PROBLEMS,
    RUNS_CSV,
    TITLE,
    Contents,
    introduction,
    more_problems,
)
from cl_bench.report.page.glossary import (
    DEFINITIONS,
    FRONT,
    SETTINGS,
    WORDS,
    definition,
    learners_said,
    links,
)
from cl_bench.report.page.hero import HERO, READING, hero
from cl_bench.report.page.table_texts import (
    CellText,
    HeadText,
    RowText,
    TableText,
    board_text,
    overall_text,
)

_NOT_MEASURED = "not measured by these runs"
_MOST_RUNS = 200
"""Of more runs than this, the twin lists none: the page does."""


def blocks(contents: Contents, drawings: Mapping[str, Drawing]) -> list[Block]:
    """The whole twin; `drawings` are the figures there are, by name."""
    found: list[Block] = [Heading(1, TITLE, "top")]
    found += [Paragraph(line) for line in FRONT]
    read_on = (*links(), ("this page with every run’s curves and prompts", "leaderboard.html"))
    found.append(Prose(" · ".join(f"[{title}]({address})" for title, address in read_on)))
    first = hero(contents)
    if first is not None and HERO in drawings:
        title = f"Accuracy against KL from the base model: {first.title}"
        found += [Picture(HERO, title), Paragraph(f"{first.title}. {READING}")]
    ranked = [overall for overall in contents.leaderboard.overall if overall.rows]
    for number, overall in enumerate(ranked):
        found += _overall(overall, number, contents)
    for drawn, title in contents.shown:
        found += _board(drawn, title, [*drawings])
    found += _runs(contents)
    found += _problems(contents)
    found += _definitions(contents)
    found.append(Heading(2, "How to read this page", "reading"))
    return [*found, *(Paragraph(text) for text in [*introduction(contents), *HOW_TO_READ])]


def _overall(overall: Overall, number: int, contents: Contents) -> Iterator[Block]:
    streams = "; ".join(contents.titles[place] for place in overall.boards)
    yield Heading(2, f"{overall.title}, {overall.model}", f"overall-{number}")
    yield Paragraph(f"Streams: {streams}.")
    yield from _table(overall_text(overall))
    yield Bullets(overall.notes)


def _board(drawn: DrawnBoard, title: str, figures: Sequence[str]) -> Iterator[Block]:
    board = drawn.board
    yield Heading(2, title, drawn.anchor)
    yield Paragraph(f"Model {board.model}; {board.budget}.")
    main, more = parted(board)
    yield from _table(board_text(drawn, main))
    yield Bullets(list(_flags(board.rows)))
    known = {name: column for name, column in more.items() if _has_values(board, name)}
    if known:
        yield Folded("More numbers", list(_table(board_text(drawn, known), more=True)))
    notes = [*board.notes, *_undefined(board)]
    if notes:
        yield Folded(f"Notes ({len(notes)})", [Bullets(notes)])
    yield Folded("What these runs have in common", [Bullets(board.words)])
    yield Folded(SETTINGS, [Bullets(board.settings_words)])
    for name in figures:
        if name.startswith(f"{drawn.anchor}."):
            what = name.removeprefix(f"{drawn.anchor}.").replace("-", " ")
            yield Picture(name, f"{board.stream}: {what}")


def _has_values(board: Board, name: str) -> bool:
    return any(not isinstance(row.values[name], Undefined) for row in board.every_row)


def _flags(rows: Sequence[BoardRow]) -> Iterator[str]:
    """A line for each warning, with the rows that it is of."""
    flagged: dict[str, list[str]] = {}
    for row in rows:
        for flag in row.flags:
            flagged.setdefault(flag, []).append(row.name)
    for flag, names in flagged.items():
        yield f"{flag}: {'all' if len(names) == len(rows) else ', '.join(names)}"


def _undefined(board: Board) -> Iterator[str]:
    """A line for every reason why values are missing, with its rows and columns; one for all that
    no run measured."""
    lacking: dict[tuple[str, str], list[str]] = {}
    for row in board.rows:
        for name, column in board.columns.items():
            if isinstance(value := row.values[name], Undefined):
                said = value.reason.replace(f"{name} was not measured", _NOT_MEASURED)
                lacking.setdefault((row.name, said), []).append(short(name, column))
    alike: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (row_name, said), titles in lacking.items():
        alike.setdefault((said, tuple(titles)), []).append(row_name)
    for (said, columns), names in alike.items():
        whose = "" if len(names) == len(board.rows) else f"{', '.join(names)}: "
        yield f"{whose}{'; '.join(columns)}: {said}"


def _table(text: TableText, *, more: bool = False) -> Iterator[Block]:
    """The table, and folded the other settings of its learners; `more` is said of one below the
    first, which does not say again what stands in that."""
    caption = "Means over seeds [95 % intervals over seeds]; best means are bold"
    if not more:
        caption += f"; ▼ sorted by this{f'; {text.unranked}' if text.unranked else ''}"
    ranked = not (text.unranked or more)
    yield Table(
        caption,
        [*["rank"] * ranked, "learner", "seeds", *map(_heading, text.heads)],
        [_row(row, ranked=ranked, chosen=not more) for row in text.rows],
        heading=int(ranked),
    )
    folded = [row for chosen in text.rows for row in chosen.folded]
    if folded:
        heads = ["learner", "seeds", *map(_heading, text.heads)]
        cells = [_row(row) for row in folded]
        yield Folded(f"Other settings ({len(folded)})", [Table("", heads, cells)])


def _row(row: RowText, *, ranked: bool = False, chosen: bool = False) -> list[Text]:
    """Its cells, with its rank and which of its learner's settings it is, if asked for."""
    choice = ": ".join(part for part in (row.choice, row.told) if part)
    name: Text = [row.name, Break(), choice] if row.choice and chosen else row.name
    return [*[row.rank] * ranked, name, row.seeds, *map(_value, row.cells)]


def _heading(head: HeadText) -> str:
    named = f"{head.title}, {head.unit}" if head.unit else head.title
    return " ".join(part for part in (named, head.arrow, "▼" * head.leads) if part)


def _value(cell: CellText) -> Text:
    """With its interval; how many seeds it rests on where they are not the row's."""
    rest = "".join(f" {part}" for part in (cell.ends,) if part)
    rest += f", {cell.of_seeds}" if cell.of_seeds else ""
    return [Strong(cell.mean), rest] if cell.best else f"{cell.mean}{rest}"


def _definitions(contents: Contents) -> Iterator[Block]:
    fixed = [[name, DEFINITIONS[name]] for name in ("rank", "learner", "seeds")]
    columns = [[short(n, column), definition(n, column)] for n, column in contents.columns.items()]
    inner = Table("", ["column", "what it means"], [*fixed, *columns], heading=0)
    yield Heading(2, WORDS, "glossary")
    yield Bullets(
        [[Strong(label), f": {said}"] for label, said in learners_said(contents.learners)]
    )
    yield Folded(f"{len(inner.rows)} columns", [inner])


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
