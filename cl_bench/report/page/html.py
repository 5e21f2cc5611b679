"""The report as one HTML file that needs nothing else.

Its tables can be read without a script; the page's own script sorts and filters them, draws figures
and opens runs. It makes elements of texts only, never of HTML, and the page's policy lets no other
script in.
"""

from __future__ import annotations

import gzip
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from cl_bench.analysis.run_values import RUN_METRICS, Column
from cl_bench.report.blocks.look import MARKERS
from cl_bench.report.blocks.write_html import document, escaped, shared_style
from cl_bench.report.page.board_record import DrawnBoard, board_record
from cl_bench.report.page.boards import board_table, listed, overall_table
from cl_bench.report.page.cells import MARKER_PATHS, RANKED_BY, short
from cl_bench.report.page.contents import HOW_TO_READ, TITLE, Contents, introduction
from cl_bench.report.page.glossary import FRONT, SETTINGS, glossary_section, links
from cl_bench.report.page.hero import hero, hero_record
from cl_bench.report.page.record import PARTS, Shared, record
from cl_bench.report.page.sections import contents_list, controls, problems_section, runs_section

LIMIT = 9_900_000
"""Bytes of a page at most."""

_PART = re.compile(r'<script type="text/plain" id="(part-\d+-[a-z]+)">([A-Za-z0-9+/=]*)</script>')
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


@dataclass(frozen=True)
class Carried:
    """The runs' parts as they stand in the page."""

    html: str
    left_out: Sequence[tuple[str, ...]]
    """By run, the parts for which there was no room."""


def json_script(name: str, value: Any) -> str:
    """A value as JSON that no HTML parser can see an end or a comment in."""
    return f'<script type="application/json" id="{name}">{_json(value)}</script>\n'


def zipped(number: int, parts: Mapping[str, Any]) -> dict[str, str]:
    """The parts of a run's record as elements of the page, by name; `number` is the run's."""
    return {name: _element(number, name, value) for name, value in parts.items()}


def carried(runs: Sequence[Mapping[str, str]], room: int) -> Carried:
    """As many of the runs' elements as `room` bytes hold: first the first part of all runs, then
    the second of all, and so on."""
    kept: list[dict[str, str]] = [{} for _ in runs]
    for name in PARTS:
        for one, found in zip(runs, kept, strict=True):
            if name in one and len(one[name]) <= room:
                room -= len(one[name])
                found[name] = one[name]
    left_out = [
        tuple(name for name in one if name not in found)
        for one, found in zip(runs, kept, strict=True)
    ]
    return Carried("".join(text for found in kept for text in found.values()), left_out)


def decoded(page: str) -> str:
    """The page with its zipped parts as the JSON that they hold."""
    return _PART.sub(
        lambda found: f'<script id="{found[1]}">{gzip.decompress(b64decode(found[2])).decode()}',
        page,
    )


def _element(run: int, part: str, value: Any) -> str:
    content = gzip.compress(_json(value).encode(), compresslevel=6, mtime=0)
    text = b64encode(content).decode("ascii")
    return f'<script type="text/plain" id="part-{run}-{part}">{text}</script>\n'


def _json(value: Any) -> str:
    """ASCII without the signs of HTML; NaN, which JSON does not have, is a `ValueError`."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return re.sub("[<>&]", lambda found: _ESCAPES[found[0]], text)


SCRIPTS = (
    *("dom", "numbers", "parts", "address", "chart", "figures", "hero", "matrices", "bars"),
    *("boards", "words", "prompts", "transcripts", "items", "run", "table", "main"),
)
"""The page's script, in this order; each uses what stands before it."""
STYLES = ("report", "figures", "print")
_NO_SCRIPT = (
    "<noscript><p>Without JavaScript this page shows its tables; figures are in its Markdown "
    "twin.</p></noscript>\n"
)
_HOW_TO_READ = "".join(f"<p>{escaped(text)}</p>\n" for text in HOW_TO_READ)


def html(contents: Contents, limit: int = LIMIT) -> str:
    """The page, of at most about `limit` bytes: what of single runs does not fit is left out, and
    the page says so."""
    shared = Shared()
    runs = [
        zipped(number, record(one.digest, one.metrics, shared))
        for number, one in enumerate(contents.listed)
    ]
    everything = [tuple(one) for one in runs]
    bare = _page(contents, shared, everything, "")  # what it says of parts left out is counted
    parts = carried(runs, limit - len(bare.encode()))
    return _page(contents, shared, parts.left_out, parts.html)


def _page(
    contents: Contents, shared: Shared, left_out: Sequence[tuple[str, ...]], parts: str
) -> str:
    content = _body(contents, sum(map(bool, left_out)))
    data = json_script("page-data", _data(contents, shared, left_out))
    return document(TITLE, content + data + parts, _style(), _script())


def _body(contents: Contents, cut: int) -> str:
    """The page's content; of `cut` runs something had to be left out."""
    left_out = (
        f'<p class="flag">To keep this page small, details of {cut:,} of {len(contents.listed):,} '
        "runs were left out; their pages say which.</p>\n"
    )
    columns = {name: (short(name, column), column) for name, column in contents.columns.items()}
    read_on = " · ".join(
        f'<a href="{escaped(address)}" rel="noreferrer">{escaped(title)}</a>'
        for title, address in links()
    )
    sections = [
        f'<header class="front">\n<div>\n<h1>{escaped(TITLE)}</h1>\n',
        *(f"<p>{escaped(line)}</p>\n" for line in FRONT),
        f'<p class="links">{read_on}</p>\n',
        *(f'<p class="facts">{escaped(line)}</p>\n' for line in introduction(contents)),
        left_out if cut else "",
        _NO_SCRIPT,
        '</div>\n<div id="hero"></div>\n</header>\n',
        controls(contents),
        '<div id="run"></div>\n<div id="all">\n',
        contents_list(contents),
        *(_overall(contents)),
        *(_boards(contents)),
        runs_section(contents),
        problems_section(contents),
        glossary_section(columns, contents.learners),
        f'<section id="reading"><h2>How to read this page</h2>\n{_HOW_TO_READ}</section>\n',
        "</div>\n",
    ]
    return f"<main>\n{''.join(sections)}</main>\n"


def _overall(contents: Contents) -> Iterable[str]:
    several = [one for one in contents.leaderboard.overall if one.rows]
    if not several:
        return
    yield '<section id="overall">\n'
    for number, one in enumerate(several):
        streams = "; ".join(contents.titles[place] for place in one.boards)
        yield f"<h2>{one.title}, model {escaped(one.model)}</h2>\n"
        yield f'<p class="facts">Streams: {escaped(streams)}.</p>\n'
        yield overall_table(one, f"overall-{number}", contents.boards)
    yield "</section>\n"


def _boards(contents: Contents) -> Iterable[str]:
    boards = contents.shown
    for drawn, title in boards:
        if len(drawn.board.every_row) > 1:
            yield f'<section class="board-section" id="{drawn.anchor}">\n'
            yield f"<h2>{escaped(title)}</h2>\n{_board(drawn, contents)}</section>\n"
    alone = [(drawn, title) for drawn, title in boards if len(drawn.board.every_row) == 1]
    if alone:
        yield '<section id="alone">\n<h2>Boards of one row</h2>\n'
        yield "<p>Runs that compare with no other learner’s: there is nothing to rank.</p>\n"
        unfolded = " open" if len(alone) == len(boards) else ""
        for drawn, title in alone:
            yield f'<details class="board-section" id="{drawn.anchor}"{unfolded}>'
            yield f"<summary>{escaped(title)}</summary>\n{_board(drawn, contents)}</details>\n"
        yield "</section>\n"


def _board(drawn: DrawnBoard, contents: Contents) -> str:
    board = drawn.board
    return (
        f'<p class="facts">Stream {escaped(board.stream)}; model {escaped(board.model)}; '
        f"{escaped(board.budget)}.</p>\n"
        f"{board_table(drawn, contents.linked)}"
        "<details><summary>What these runs have in common</summary>"
        f"{listed(board.words)}</details>\n"
        f"<details><summary>{SETTINGS}</summary>{listed(board.settings_words)}</details>\n"
        f'<div class="figures" id="{drawn.anchor}-figures"></div>\n'
    )


def _data(
    contents: Contents, shared: Shared, left_out: Sequence[tuple[str, ...]]
) -> dict[str, Any]:
    found = hero(contents)
    return {
        "boards": [board_record(one) for one, _ in contents.shown],
        "runs": [
            {
                "name": one.facts.name,
                "left": left,
                "problems": list(map(contents.local, one.problems)),
            }
            for one, left in zip(contents.listed, left_out, strict=True)
        ],
        "metrics": {
            name: _metric(column) for name, column in {**RUN_METRICS, **contents.columns}.items()
        },
        "hero": found and hero_record(found),
        "shared": shared.values,
        "rankedBy": RANKED_BY,
        "markers": MARKER_PATHS,
        "markerOrder": MARKERS,
    }


def _metric(column: Column) -> dict[str, str]:
    heading = column.quantity.heading
    return {"title": column.title, "unit": heading or column.unit, "heading": heading}


@cache
def _script() -> str:
    """All of the page's script, in a scope of its own."""
    inner = "\n".join(_asset(f"{name}.js") for name in SCRIPTS)
    return f'\n"use strict";\n(() => {{\n{inner}}})();\n'


@cache
def _style() -> str:
    return "\n" + shared_style() + "\n".join(_asset(f"{name}.css") for name in STYLES)


def _asset(name: str) -> str:
    return (files("cl_bench.report.page") / "assets" / name).read_text(encoding="utf-8")
