"""The leaderboard's tables as HTML that can be read, and printed, without any script."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from urllib.parse import quote

from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.look import Look
from cl_bench.report.blocks.write_html import escaped
from cl_bench.report.leaderboard import Board, Column, Overall, OverallRow, Row
from cl_bench.report.page.board_record import DrawnBoard, label, overall_looks
from cl_bench.report.page.cells import (
    RANKED_BY,
    Scale,
    heading,
    parted,
    rank_cell,
    scale,
    swatch,
    value_cell,
)

_FEW = 6
"""So many seeds are listed; more are folded."""
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
    notes = Footnotes(drawn.anchor)
    main, more = parted(drawn.board)
    caption = f"{escaped(drawn.board.stream)}: means over seeds, with 95 % intervals over seeds"
    tables = _of_columns(drawn, main, caption, notes, names)
    if more:
        others = _of_columns(drawn, more, f"{escaped(drawn.board.stream)}: more numbers", notes, {})
        tables += f"<details><summary>More numbers</summary>\n{others}</details>\n"
    return tables + notes.text()


def _of_columns(
    drawn: DrawnBoard,
    columns: Mapping[str, Column],
    caption: str,
    notes: Footnotes,
    names: Mapping[str, str],
) -> str:
    """The table of some columns; with the seeds if there are `names` of their runs."""
    scales = {name: scale(row.values[name] for row in drawn.board.rows) for name in columns}
    rows = []
    for place, (row, look) in enumerate(zip(drawn.board.rows, drawn.looks, strict=True)):
        cells = _metric_cells(columns, row, scales, look, notes)
        anchor = f' id="{drawn.anchor}-{place}"' if names else ""
        rows.append(
            f"<tr{anchor}{_filters(drawn.board, row, look)}>"
            f"{rank_cell(row.ranks.get(RANKED_BY), look)}"
            f'<th scope="row" data-value="{place}">{_named(row, look)}</th>'
            f"{_seeds_cell(row, names) if names else ''}{cells}</tr>\n"
        )
    kind = "streamed" if names else "more"
    return _table(caption, columns, rows, kind=kind, seeds=bool(names))


def overall_table(overall: Overall, anchor: str, boards: Sequence[DrawnBoard]) -> str:
    """The learners that were run on all of several streams."""
    looks = overall_looks(overall, boards)
    notes = Footnotes(anchor)
    scales = {name: scale(row.values[name] for row in overall.rows) for name in overall.columns}
    rows = []
    for place, (row, look) in enumerate(zip(overall.rows, looks, strict=True)):
        shown = label(row, look)
        cells = _metric_cells(overall.columns, row, scales, look, notes)
        rows.append(
            f'<tr data-learner="{escaped(row.learner)}" data-model="{escaped(overall.model)}" '
            f'data-text="{escaped(f"{shown} {row.learner} {overall.model}".lower())}">'
            f"{rank_cell(row.ranks.get(RANKED_BY), look)}"
            f'<th scope="row" data-value="{place}">'
            f'<span class="learner">{swatch(look)} {escaped(shown)}</span></th>'
            f'<td class="seeds" data-column="seeds">{seeds_of(row)} of '
            f"{len(row.per_seed[RANKED_BY])}</td>{cells}</tr>\n"
        )
    caption = "All streams: means over streams, then over seeds, with 95 % intervals over seeds"
    return _table(caption, overall.columns, rows, kind="overall", seeds=True) + notes.text()


def seeds_of(row: Row | OverallRow) -> int:
    """Seeds that the row's average accuracy rests on, and most of its other numbers."""
    value = row.values[RANKED_BY]
    return 0 if isinstance(value, Undefined) else value.seeds


def listed(items: Iterable[str], kind: str = "") -> str:
    """A list of plain texts; nothing for none."""
    inner = "".join(f"<li>{escaped(item)}</li>\n" for item in items)
    named = f' class="{kind}"' if kind else ""
    return f"<ul{named}>\n{inner}</ul>\n" if inner else ""


def run_link(name: str, text: str) -> str:
    """A link that opens a run's own page."""
    return f'<a href="#run={escape(_address(name))}">{escaped(text)}</a>'


def _address(name: str) -> str:
    return quote(name.encode("utf-8", "surrogatepass"), safe="/")


def _table(
    caption: str, columns: Mapping[str, Column], rows: Sequence[str], *, kind: str, seeds: bool
) -> str:
    heads = "".join(heading(name, column) for name, column in columns.items())
    seeds_head = '<th scope="col">seeds</th>' if seeds else ""
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{caption}">\n'
        f'<table class="board {kind}"><caption>{caption}</caption>\n'
        f'<thead><tr><th scope="col" data-sort="rank" data-better="lower">'
        f'<span class="name">rank</span></th>'
        f'<th scope="col">learner</th>{seeds_head}{heads}</tr></thead>\n'
        f"<tbody>\n{''.join(rows)}</tbody></table>\n</div>\n"
    )


def _metric_cells(
    columns: Mapping[str, Column],
    row: Row | OverallRow,
    scales: Mapping[str, Scale | None],
    look: Look,
    notes: Footnotes,
) -> str:
    seeds = seeds_of(row)
    cells = []
    for name, column in columns.items():
        value = row.values[name]
        note = notes.mark(value.reason) if isinstance(value, Undefined) else ""
        ranks = row.ranks.get(name)
        cells.append(value_cell(name, column, value, scales[name], ranks, look, note, seeds))
    return "".join(cells)


def _filters(board: Board, row: Row, look: Look) -> str:
    """What the page's filters look at."""
    status = " ".join(sorted(set(row.status.values())))
    words = (label(row, look), row.learner, board.stream, board.model, status, *row.flags)
    return (
        f' data-stream="{escaped(board.stream)}" data-learner="{escaped(row.learner)}"'
        f' data-model="{escaped(board.model)}" data-status="{escaped(status)}"'
        f' data-text="{escaped(" ".join(words).lower())}"'
    )


def _named(row: Row, look: Look) -> str:
    settings = f'<small class="settings">{escaped(row.settings)}</small>' if row.settings else ""
    flags = "".join(f'<small class="flag">{escaped(flag)}</small>' for flag in row.flags)
    name = f'<span class="learner">{swatch(look)} {escaped(look.label)}</span>'
    return f"{name}{settings}{flags}"


def _seeds_cell(row: Row, names: Mapping[str, str]) -> str:
    done = sum(status == "done" for status in row.status.values())
    seeds = ", ".join(_seed(row, seed, names) for seed in row.seeds)
    counted = f"{done} of {len(row.seeds)}"
    kind = " open" if len(row.seeds) <= _FEW else ""
    return (
        f'<td class="seeds" data-column="seeds" data-value="{done}">'
        f"<details{kind}><summary>{counted}</summary>{seeds}</details></td>"
    )


def _seed(row: Row, seed: int, names: Mapping[str, str]) -> str:
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
