"""A page as what it says: Markdown and HTML are two ways to write the same blocks.

Texts in blocks are plain; whoever writes them escapes. Only `Prose` holds Markdown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class CodeSpan:
    """A name or value as it is written."""

    text: str


@dataclass(frozen=True)
class Strong:
    """Words that must not be missed."""

    text: str


@dataclass(frozen=True)
class Mark:
    """A judgement, which never shows by its colour alone."""

    text: str
    sign: str
    """Stands before the words where there is room for signs, such as ✓."""
    kind: str
    """yes, no or open."""


@dataclass(frozen=True)
class Link:
    """A link to a heading of the same page."""

    text: str
    anchor: str


@dataclass(frozen=True)
class Break:
    """The end of a line inside a cell or paragraph."""


Inline: TypeAlias = str | Mark | CodeSpan | Strong | Link | Break
Text: TypeAlias = Inline | Sequence[Inline]


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the page's title."""

    level: int
    text: str
    anchor: str


@dataclass(frozen=True)
class Paragraph:
    """A paragraph."""

    text: Text


@dataclass(frozen=True)
class Bullets:
    """A list; without items there is nothing."""

    items: Sequence[Text]


@dataclass(frozen=True)
class Table:
    """A table."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Text]]
    heading: int = 0
    """Which cell of a row, from 0, is the row's heading."""
    stacked: bool = False
    """Whether a row's cells stand below one another, each with its column's name, where the screen
    is too narrow for them beside one another."""


@dataclass(frozen=True)
class Picture:
    """A figure, by its name among the page's drawings."""

    name: str
    alt: str
    narrow: str = ""
    """The name of the drawing that a narrow screen shows in its place, if there is one."""


@dataclass(frozen=True)
class Prose:
    """Text that is Markdown already; the HTML page shows HTML in it as text."""

    markdown: str


@dataclass(frozen=True)
class Folded:
    """Blocks that show when the reader asks."""

    title: str
    blocks: Sequence[Block]


Block: TypeAlias = Heading | Paragraph | Bullets | Table | Picture | Prose | Folded


def inlines(text: Text) -> Sequence[Inline]:
    """The parts of a text, in order."""
    return [text] if isinstance(text, str | Mark | CodeSpan | Strong | Link | Break) else text
