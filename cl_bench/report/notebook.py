"""What notebooks show: the terminal's layouts as HTML that takes the notebook's own colours."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from html import escape

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cl_bench.report.terminal import plain_text

WIDE = 160
"""Columns of a layout that a browser wraps itself."""
_STYLE = """<style>
.cl-bench {overflow-x: auto; line-height: 1.4; font-variant-numeric: tabular-nums}
.cl-bench summary {cursor: pointer}
.cl-bench table {border-collapse: collapse; border: 0; margin: 0.3em 0 0.8em; font-size: inherit}
.cl-bench td, .cl-bench th {padding: 0.1em 0.7em; border: 0; white-space: nowrap; text-align: left}
.cl-bench tr {background: none !important}
.cl-bench th {border-bottom: 1px solid rgba(128, 128, 128, 0.5)}
.cl-bench .right {text-align: right}
</style>"""
_RIGHT = ' class="right"'


def code(text: str) -> str:
    """A line of code."""
    return f"<div><code>{escape(text)}</code></div>"


def html(shown: RenderableType, *, opened: Collection[str]) -> str:
    """A layout as HTML: its texts, tables and headings, with their words and numbers.

    What is below a heading can be folded; what begins with one of `opened` is shown at first.
    """
    parts = [f'{_STYLE}<div class="cl-bench">']
    below = False
    for piece in _pieces(shown):
        if isinstance(piece, Text) and piece.style == "bold":
            title = piece.plain.strip()
            first = " open" if title.startswith(tuple(opened)) else ""
            parts.append("</details>" if below else "")
            parts.append(f"<details{first}><summary>{escape(title)}</summary>")
            below = True
        else:
            parts.append(_html_of(piece))
    return "\n".join([*filter(None, parts), *(["</details>"] if below else []), "</div>"])


def _pieces(shown: RenderableType) -> Iterator[RenderableType]:
    if isinstance(shown, Group):
        for piece in shown.renderables:
            yield from _pieces(piece)
    else:
        yield shown


def _html_of(piece: RenderableType) -> str:
    if isinstance(piece, Table):
        return _table(piece)
    if isinstance(piece, Padding):
        return f'<div style="margin-left: 2em">{_html_of(piece.renderable)}</div>'
    weight = ' style="font-weight: bold"' if isinstance(piece, Text) and piece.style else ""
    return f"<div{weight}>{escape(_words(piece))}</div>"


def _words(piece: RenderableType) -> str:
    return piece.plain.strip() if isinstance(piece, Text) else plain_text(piece, WIDE)


def _table(shown: Table) -> str:
    right = [column.justify == "right" for column in shown.columns]
    lines = ["<table>"]
    if shown.show_header:
        lines.append(_row("th", [column.header for column in shown.columns], right))
    rows = zip(*(column.cells for column in shown.columns), strict=True)
    lines += [_row("td", cells, right) for cells in rows]
    return "\n".join([*lines, "</table>"])


def _row(tag: str, cells: Sequence[RenderableType], right: Sequence[bool]) -> str:
    said = "".join(
        f"<{tag}{_RIGHT if at_right else ''}>{escape(_words(cell))}</{tag}>"
        for cell, at_right in zip(cells, right, strict=True)
    )
    return f"<tr>{said}</tr>"
