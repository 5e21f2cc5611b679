"""A page's blocks as Markdown, with tables and folds as GitHub shows them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from cl_bench.pages.blocks import (
    Block,
    Break,
    Bullets,
    Code,
    Folded,
    Heading,
    Inline,
    Link,
    Mark,
    Paragraph,
    Picture,
    Prose,
    Strong,
    Table,
    Text,
    inlines,
)
from cl_bench.text import printable

_SPECIAL = re.compile(r"[\\`*<>|~&]|(?<!\w)_|_(?!\w)|\](?=[(\[:])")


def markdown(blocks: Sequence[Block], pictures: str) -> str:
    """The page; `pictures` is where its drawings lie, seen from the page's folder."""
    return "\n\n".join(text for block in blocks for text in _block(block, pictures)) + "\n"


def _block(block: Block, pictures: str) -> Iterator[str]:
    match block:
        case Heading():
            yield f'<a id="{block.anchor}"></a>'
            yield f"{'#' * block.level} {escaped(block.text)}"
        case Paragraph():
            yield _text(block.text)
        case Bullets():
            if block.items:
                yield "\n".join(f"- {_text(item)}" for item in block.items)
        case Table():
            yield from _table(block)
        case Picture():
            file = f"{pictures}/{block.name}"
            yield f"![{escaped(block.alt)}]({file}.png)"
            yield f"[The same as SVG]({file}.svg)"
        case Prose():
            yield block.markdown.strip()
        case Folded():
            yield f"<details><summary>{escaped(block.title)}</summary>"
            for inner in block.blocks:
                yield from _block(inner, pictures)
            yield "</details>"


def _table(table: Table) -> Iterator[str]:
    if table.caption:
        yield f"**{escaped(table.caption)}**"
    rows = [[escaped(column) for column in table.columns], ["---"] * len(table.columns)]
    rows += [[_text(cell) for cell in row] for row in table.rows]
    yield "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _text(text: Text) -> str:
    return "".join(map(_inline, inlines(text)))


def _inline(part: Inline) -> str:
    match part:
        case Mark():
            return f"**{escaped(part.text)}**"
        case Code():
            # No back quote or bar can be escaped inside code.
            return f"`{printable(part.text).replace('`', chr(39)).replace('|', '¦')}`"
        case Strong():
            return f"**{escaped(part.text)}**"
        case Link():
            return f"[{escaped(part.text)}](#{part.anchor})"
        case Break():
            return "<br>"
        case str():
            return escaped(part)


def escaped(text: str) -> str:
    """A plain text on one line, without anything that Markdown or HTML would obey."""
    return _SPECIAL.sub(lambda found: _ENTITIES.get(found[0], f"\\{found[0]}"), printable(text))


_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
