"""The leaderboard's tables as HTML that can be read, and printed, without any script."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from urllib.parse import quote

from cl_bench.analysis.run_values import Column
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.look import Look
from cl_bench.report.blocks.write_html import escaped
from cl_bench.report.board import Board, BoardRow, Overall, RankedRow, unranked
from cl_bench.report.page.board_record import DrawnBoard, overall_looks
from cl_bench.report.page.cells import (
    RANKED_BY,
    ShownColumn,
    heading,
    parted,
    rank_cell,
    swatch,
    value_cell,
)
from cl_bench.report.page.glossary import DEFINITIONS, learners_said

_FEW = 6
"""So many seeds are listed; more are folded."""
_CAPTION = "Means over seeds, below them 95 % intervals over seeds; ★ best mean of a column."
_SIGNS = {"done": "", "running": "…", "diverged": "✗", "failed": "✗", "missing": "–"}


class Footnotes:
    """Why numbers are missing: each reason once, by a letter."""

    def __init__(self, anchor: str) -> None:
        self._anchor = anchor
        self._reasons: dict[str, str] = {}

    def mark(self, reason: str) -> str:
        """The reference that stands beside a dash."""
        mark = self._reasons.setdefault(reason, _letters(len(self._reasons)))
        return f'<sup><a href="#{self._anchor}-{mark}">{mark}</a></sup>'

    def text(self) -> str:
        """All reasons, for below the table."""
        notes = "".join(
            f'<li id="{self._anchor}-{mark}"><sup>{mark}</sup> {escaped(reason)}</li>\n'
            for reason, mark in self._reasons.items()
        )
        return f'<ul class="footnotes">\n{notes}</ul>\n' if notes else ""


def board_table(drawn: DrawnBoard, names: Mapping[str, str]) -> str:
    """A board's rows, best average accuracy first, with footnotes; less asked numbers are folded.

    `names` are the runs' names on the page, by path.
    """
    board, notes, folded = drawn.board, Footnotes(drawn.anchor), ""
    main, more = parted(board)
    shown = [
        _Shown(one, look, _filters(board, one), _named(one, look), _seeds_cell(one, names))
        for row, look in zip(board.rows, drawn.looks, strict=True)
        for one in (row, *row.folded)
    ]
    shown = _placed(drawn.anchor, shown)
    linked = _linked(drawn.anchor, shown)
    tables = _table(f"Board {board.stream}", "streamed", main, linked, notes)
    if more:
        without_seeds = [replace(one, seeds="") for one in shown]
        others = Footnotes(f"{drawn.anchor}-more")
        table = _table(f"More numbers of {board.stream}", "more", more, without_seeds, others)
        folded = f"<details><summary>More numbers</summary>\n{table}{others.text()}</details>\n"
    return tables + notes.text() + folded + _notes(drawn.anchor, board.notes, board.rows)


def overall_table(overall: Overall, anchor: str, boards: Sequence[DrawnBoard]) -> str:
    """The learners that were run on all of several streams."""
    shown = []
    looks = overall_looks(overall, boards)
    every = [
        (one, look)
        for row, look in zip(overall.rows, looks, strict=True)
        for one in (row, *row.folded)
    ]
    for row, look in every:
        words = f"{row.name} {row.learner} {overall.model}".lower()
        attributes = data_attributes(
            learner=row.learner, model=overall.model, text=words, series=row.learner
        )
        counted = f"{seeds_of(row)} of {len(row.per_seed[RANKED_BY])}"
        seeds = f'<td class="seeds">{counted}</td>'
        shown.append(_Shown(row, look, attributes, _named(row, look), seeds))
    notes = Footnotes(anchor)
    linked = _linked(anchor, _placed(anchor, shown))
    table = _table("Board of all streams", "overall", overall.columns, linked, notes)
    return table + notes.text() + _notes(anchor, overall.notes, overall.rows)


def seeds_of(row: RankedRow) -> int:
    """Seeds that the row's average accuracy rests on, and most of its other numbers."""
    value = row.values[RANKED_BY]
    return 0 if isinstance(value, Undefined) else value.seeds


def listed(items: Iterable[str]) -> str:
    """A list of plain texts; nothing for none."""
    inner = "".join(f"<li>{escaped(item)}</li>\n" for item in items)
    return f"<ul>\n{inner}</ul>\n" if inner else ""


def _notes(anchor: str, notes: Sequence[str], rows: Sequence[RankedRow]) -> str:
    """What stands below a table; a note that begins with a row's name goes where the row goes."""
    names = sorted(((row.name, place) for place, row in enumerate(rows)), reverse=True)
    inner = ""
    for note in notes:
        own = (f"{anchor}-{place}" for name, place in names if _is_about(note, name))
        of = next(own, None)
        inner += f"<li{data_attributes(of=of) if of else ''}>{escaped(note)}</li>\n"
    return f'<ul class="notes">\n{inner}</ul>\n' if inner else ""


def _is_about(note: str, name: str) -> bool:
    return note.startswith((f"{name},", f"{name}:", f"{name} is "))


def data_attributes(**values: str) -> str:
    """Attributes `data-…` of an element, each after a space."""
    return "".join(f' data-{name}="{escaped(value)}"' for name, value in values.items())


def run_link(name: str, text: str) -> str:
    """A link that opens a run's own page."""
    address = quote(name.encode("utf-8", "surrogatepass"), safe="/")
    return f'<a href="#run={escape(address)}">{escaped(text)}</a>'


@dataclass(frozen=True)
class _Shown:
    """A row and what stands before its numbers, as HTML."""

    row: RankedRow
    look: Look
    attributes: str
    name: str
    seeds: str
    """A cell; empty in a table without seeds."""


def _placed(anchor: str, shown: Sequence[_Shown]) -> list[_Shown]:
    """The rows, each with its place on the board; those that fold under another name that one."""
    found, place = [], -1
    for one in shown:
        folded = _is_folded(one.row)
        place += not folded
        told = data_attributes(**{"under" if folded else "lead": f"{anchor}-{place}"})
        kind = ' class="folded"' if folded else ""
        found.append(replace(one, attributes=f"{kind}{told}{one.attributes}"))
    return found


def _linked(anchor: str, shown: Sequence[_Shown]) -> list[_Shown]:
    """The same with names for links."""
    leading = (place for place, one in enumerate(shown) if not _is_folded(one.row))
    names = {place: f' id="{anchor}-{number}"' for number, place in enumerate(leading)}
    return [
        replace(one, attributes=names.get(place, "") + one.attributes)
        for place, one in enumerate(shown)
    ]


def _is_folded(row: RankedRow) -> bool:
    return bool(row.settings) and not row.choice


def _table(
    title: str,
    kind: str,
    columns: Mapping[str, Column],
    rows: Sequence[_Shown],
    notes: Footnotes,
) -> str:
    every = [one.row for one in rows]
    leading = [row for row in every if not _is_folded(row)]
    shown = [ShownColumn.of(name, column, leading, every) for name, column in columns.items()]
    for row in leading:  # the first letters, as the others' rows are folded
        _footnotes(shown, row, notes)
    body = "".join(
        f"<tr{one.attributes}>{rank_cell(one.row.ranks.get(RANKED_BY), one.look)}"
        f'<th scope="row" data-value="{place}">{one.name}</th>{one.seeds}'
        f"{_metric_cells(shown, one, notes)}</tr>\n"
        for place, one in enumerate(rows)
    )
    heads = "".join(heading(name, column) for name, column in columns.items())
    why = unranked(leading, RANKED_BY) if len(leading) > 1 else ""
    told = f' <span class="flag">No ranks: {escaped(why)}.</span>' if why else ""
    kinds = f"board {kind} unranked" if why else f"board {kind}"
    seeds_head = "" if kind == "more" else _fixed("seeds")
    return (
        f'<p class="caption">{_CAPTION}{told}</p>\n'
        f'<div class="wide" tabindex="0" role="region" aria-label="{escaped(title)}">\n'
        f'<table class="{kinds}" aria-label="{escaped(title)}">\n'
        f"<thead><tr>{_fixed('rank', data_attributes(sort='rank', better='lower'))}"
        f"{_fixed('learner')}{seeds_head}{heads}</tr></thead>\n"
        f"<tbody>\n{body}</tbody></table>\n</div>\n"
    )


def _fixed(name: str, attributes: str = "") -> str:
    """The heading of a column that is no metric."""
    return (
        f'<th scope="col" class="{name}"{attributes} title="{escaped(DEFINITIONS[name])}">'
        f'<span class="name">{name}</span></th>'
    )


def _footnotes(columns: Sequence[ShownColumn], row: RankedRow, notes: Footnotes) -> list[str]:
    """By column, the reference to why its number is missing; empty where it is not."""
    values = [row.values[column.name] for column in columns]
    return [notes.mark(value.reason) if isinstance(value, Undefined) else "" for value in values]


def _metric_cells(
    columns: Sequence[ShownColumn],
    one: _Shown,
    notes: Footnotes,
) -> str:
    row = one.row
    seeds = seeds_of(row)
    cells = []
    for column, note in zip(columns, _footnotes(columns, row, notes), strict=True):
        value, ranks = row.values[column.name], row.ranks.get(column.name)
        cells.append(value_cell(column, value, ranks, one.look, note, seeds))
    return "".join(cells)


def _filters(board: Board, row: BoardRow) -> str:
    """The attributes that the page's filters look at."""
    status = " ".join(sorted(set(row.status.values())))
    words = (row.name, row.learner, board.stream, board.model, status, *row.flags)
    return data_attributes(
        stream=board.stream,
        learner=row.learner,
        model=board.model,
        status=status,
        text=" ".join(words).lower(),
        series=row.learner,
    )


def _named(row: RankedRow, look: Look) -> str:
    """The name in a table; of a row that others fold under, with a button that unfolds them."""
    flags = row.flags if isinstance(row, BoardRow) else ()
    said = "".join(f'<small class="flag">{escaped(flag)}</small>' for flag in flags)
    if _is_folded(row):
        return f'<span class="learner">{escaped(row.told)}</span>{said}'
    does = "".join(said for _, said in learners_said([row.learner]))
    title = f' title="{escaped(does)}"' if does else ""
    name = f'<span class="learner"{title}>{swatch(look)} {escaped(look.label)}</span>'
    if row.choice:
        which = escaped(row.choice)
        if row.folded:
            which = f'<button type="button" aria-expanded="false">{which}</button>'
        said = f'<small class="settings">{escaped(row.told)}<br>{which}</small>{said}'
    return f"{name}{said}"


def _seeds_cell(row: BoardRow, names: Mapping[str, str]) -> str:
    done = sum(status == "done" for status in row.status.values())
    seeds = ", ".join(_seed(row, seed, names) for seed in row.seeds)
    counted = f"{done} of {len(row.seeds)}"
    kind = " open" if len(row.seeds) <= _FEW else ""
    return (
        f'<td class="seeds" data-value="{done}">'
        f"<details{kind}><summary>{counted}</summary>{seeds}</details></td>"
    )


def _seed(row: BoardRow, seed: int, names: Mapping[str, str]) -> str:
    status, path = row.status[seed], row.runs.get(seed)
    text = run_link(names[str(path)], str(seed)) if str(path) in names else str(seed)
    if status == "done":
        return f"<span>{text}</span>"
    why = f"{status}: {row.reasons[seed]}" if row.reasons.get(seed) else status
    return f'<span title="{escaped(why)}">{text}&nbsp;{_SIGNS[status]}&nbsp;{status}</span>'


def _letters(number: int) -> str:
    """a, b, … z, aa, ab, …"""
    first, last = divmod(number, 26)
    return (_letters(first - 1) if first else "") + chr(ord("a") + last)
