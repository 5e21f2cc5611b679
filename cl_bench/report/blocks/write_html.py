"""A page's blocks as one HTML file that needs nothing else: no script, no font, no network."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from html import escape
from pathlib import Path

from cl_bench.contract.text import printable
from cl_bench.report.blocks import blocks as page
from cl_bench.report.blocks.drawings import Drawing

_STYLE = Path(__file__).with_name("page.css")
_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:"
_NARROW = "screen and (max-width: 44rem)"
"""As in the style: what is printed is not narrow."""
_MANY = 4
"""A table with more columns is scrolled rather than squeezed on a narrow screen."""


def html(blocks: Sequence[page.Block], drawings: Mapping[str, Drawing]) -> str:
    """The page, with its drawings inside it."""
    title = next((block.text for block in blocks if isinstance(block, page.Heading)), "")
    return document(title, f"<main>\n{body(blocks, drawings)}</main>\n", shared_style())


def shared_style() -> str:
    """The style of all pages."""
    return _STYLE.read_text(encoding="utf-8")


def body(blocks: Sequence[page.Block], drawings: Mapping[str, Drawing]) -> str:
    """Blocks as HTML, without the page around them."""
    return "".join(text for block in blocks for text in _block(block, drawings))


def document(title: str, content: str, style: str, script: str = "") -> str:
    """A whole page around `content`, which is HTML already.

    Its policy lets this style and this script in, by their hashes, and nothing else: no other
    script or style, whatever the content says, and nothing from a network.
    """
    policy = f"{_POLICY}; style-src {_source(style)}"
    last = ""
    if script:
        policy += f"; script-src {_source(script)}"
        last = f"<script>{script}</script>\n"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escaped(title)}</title>\n<style>{style}</style>\n</head>\n"
        f"<body>\n{content}{last}</body>\n</html>\n"
    )


def _source(text: str) -> str:
    """Return a policy's name of an inline style or script: the hash of the text inside the tag."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode('ascii')}'"


def _block(block: page.Block, drawings: Mapping[str, Drawing]) -> Iterator[str]:
    match block:
        case page.Heading(level, text, anchor):
            yield f'<h{level} id="{escaped(anchor)}">{escaped(text)}</h{level}>\n'
        case page.Paragraph(text):
            yield f"<p>{_text(text)}</p>\n"
        case page.Bullets(items):
            listed = "".join(f"<li>{_text(item)}</li>\n" for item in items)
            yield f"<ul>\n{listed}</ul>\n" if listed else ""
        case page.Table():
            yield _table(block)
        case page.Picture(name, alt, narrow):
            image = f'<img alt="{escaped(alt)}" src="{_data(drawings[name])}">'
            if narrow:
                other = f'<source media="{_NARROW}" srcset="{_data(drawings[narrow])}">'
                yield f"<figure><picture>{other}{image}</picture></figure>\n"
            else:
                yield f'<figure class="wide" tabindex="0">{image}</figure>\n'
        case page.Prose(markdown):
            yield f'<div class="prose">\n{prose(markdown)}</div>\n'
        case page.Folded(title, inner):
            yield f"<details><summary>{escaped(title)}</summary>\n"
            for one in inner:
                yield from _block(one, drawings)
            yield "</details>\n"


def _data(drawing: Drawing) -> str:
    """A drawing inside the page."""
    return f"data:image/svg+xml;base64,{b64encode(drawing.svg).decode('ascii')}"


def _table(table: page.Table) -> str:
    caption = f"<caption>{escaped(table.caption)}</caption>\n" if table.caption else ""
    heads = "".join(f'<th scope="col">{_broken(column)}</th>' for column in table.columns)
    rows = "".join(f"<tr>{_row(table, row)}</tr>\n" for row in table.rows)
    kinds = {"many": len(table.columns) > _MANY, "stacked": table.stacked}
    named = " ".join(name for name, applies in kinds.items() if applies)
    kind = f' class="{named}"' if named else ""
    return (
        f'<div class="wide" tabindex="0">\n<table{kind}>\n{caption}'
        f"<thead><tr>{heads}</tr></thead>\n"
        f"<tbody>\n{rows}</tbody>\n</table>\n</div>\n"
    )


def _broken(column: str) -> str:
    """A column's name, which may be broken after an underscore."""
    return escaped(column).replace("_", "_<wbr>")


def _row(table: page.Table, cells: Sequence[page.Text]) -> str:
    return "".join(
        f'<th scope="row">{_text(cell)}</th>'
        if place == table.heading
        else f"<td{_named(table.columns[place])}>{_text(cell)}</td>"
        if table.stacked
        else f"<td>{_text(cell)}</td>"
        for place, cell in enumerate(cells)
    )


def _named(column: str) -> str:
    """The attribute that says beside a stacked cell what it is."""
    return f' data-column="{escaped(column)}"'


def _text(text: page.Text) -> str:
    return "".join(map(_inline, page.inlines(text)))


def _inline(part: page.Inline) -> str:
    match part:
        case page.Mark(text, sign, kind):
            return f'<strong class="verdict {kind}">{sign} {escaped(text)}</strong>'
        case page.CodeSpan(text):
            return f"<code>{escaped(text)}</code>"
        case page.Strong(text):
            return f"<strong>{escaped(text)}</strong>"
        case page.Link(text, anchor):
            return f'<a href="#{escaped(anchor)}">{escaped(text)}</a>'
        case page.Break():
            return "<br>"
        case str():
            return escaped(part)


def prose(markdown: str) -> str:
    """Markdown as HTML. HTML in it is shown as text, images from elsewhere are not loaded, and its
    headings stand below those of the page."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(markdown)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{max(3, int(token.tag[1:]))}"
    return str(parser.renderer.render(tokens, parser.options, {}))


def escaped(text: str) -> str:
    """A plain text as HTML, in an attribute too; what is invisible or misleading shows as code."""
    return escape(printable(text))
