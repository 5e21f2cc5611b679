"""A page's blocks as Markdown, with tables and folds as GitHub shows them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from cl_bench.contract.text import printable
from cl_bench.report.blocks import blocks as page

_SPECIAL = re.compile(
    r"[\\`*<>|~&]|(?<!\w)_|_(?!\w)|\](?=[(\[:])"  # code, emphasis, HTML, tables, links
    r"|:(?=//)|(?<=\b(?i:www))\.|@(?=\w)"  # addresses and names, of which GitHub makes links
)
_START = re.compile(
    r"^(?:(\d{1,9})(?=[.)](?:\s|$))"  # a numbered list
    r"|(?=#{1,6}(?:\s|$)|[-+](?:\s|$)|-{2,}\s*$|=+\s*$|\[[ xX]\]\s))"
)
"""The beginnings of lists, headings, rules and tick boxes."""


def markdown(blocks: Sequence[page.Block], pictures: str) -> str:
    """The page; `pictures` is where its drawings lie, seen from the page's folder."""
    return "\n\n".join(text for block in blocks for text in _block(block, pictures)) + "\n"


def _block(block: page.Block, pictures: str) -> Iterator[str]:
    match block:
        case page.Heading():
            yield f'<a id="{block.anchor}"></a>'
            yield f"{'#' * block.level} {_within(block.text)}"
        case page.Paragraph():
            yield _text(block.text)
        case page.Bullets():
            if block.items:
                yield "\n".join(f"- {_text(item)}" for item in block.items)
        case page.Table():
            yield from _table(block)
        case page.Picture():
            file = f"{pictures}/{block.name}"
            yield f"![{_within(block.alt)}]({file}.png)"
            yield f"[The same as SVG]({file}.svg)"
        case page.Prose():
            yield block.markdown.strip()
        case page.Folded():
            yield f"<details><summary>{_within(block.title)}</summary>"
            for inner in block.blocks:
                yield from _block(inner, pictures)
            yield "</details>"


def _table(table: page.Table) -> Iterator[str]:
    if table.caption:
        yield f"**{_within(table.caption)}**"
    rows = [[_within(column) for column in table.columns], ["---"] * len(table.columns)]
    rows += [[_text(cell) for cell in row] for row in table.rows]
    yield "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _text(text: page.Text) -> str:
    return "".join(map(_inline, page.inlines(text)))


def _inline(part: page.Inline) -> str:
    match part:
        case page.Mark():
            return f"**{_within(part.text)}**"
        case page.CodeSpan():
            # No back quote or bar can be escaped inside code.
            return f"`{printable(part.text).replace('`', chr(39)).replace('|', '¦')}`"
        case page.Strong():
            return f"**{_within(part.text)}**"
        case page.Link():
            return f"[{_within(part.text)}](#{part.anchor})"
        case page.Break():
            return "<br>"
        case str():
            return escaped(part)


def escaped(text: str) -> str:
    """A plain text on one line, without anything that Markdown or HTML would obey, at the start of
    a line neither."""
    plain = _within(text)
    indented = "&#32;" + plain[1:] if plain.startswith("    ") else plain
    return _START.sub(r"\1\\", indented)


def _within(text: str) -> str:
    """The same where something stands before it."""
    return _SPECIAL.sub(lambda found: _ENTITIES.get(found[0], f"\\{found[0]}"), printable(text))


_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "@&#8203;"}
"""After an @ stands a space without width: GitHub looks for names in what a browser would show."""


def fenced(text: str, language: str = "text") -> str:
    """A block that shows `text` as it is, which nothing in the text can end.

    What a terminal would obey or hide is written as an escape, but for line ends and tabs.
    """
    lines = [printable(line.expandtabs()) for line in re.split(r"\r\n|\r|\n", text)]
    longest = max(map(len, re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}{language}", *lines, fence])
