"""Printing what rich lays out: as wide as the terminal, plain when piped, ASCII if need be."""

from __future__ import annotations

import sys
from io import StringIO
from typing import Protocol, TypeVar

from rich.console import Console, RenderableType

PLAIN_WIDTH = 100
"""Columns of what is not printed on a terminal."""
_SIGNS = "▁█│‖—−─…"
"""Block characters, boxes and signs."""
_PLAINER = str.maketrans(
    {
        "—": "-",
        "–": "-",
        "−": "-",
        "─": "-",
        "│": "|",
        "‖": "||",
        "…": "...",
        "·": ".",
        "’": "'",
        "×": "x",
        "→": "->",
    }
)

Shown_contra = TypeVar("Shown_contra", contravariant=True)


class Show(Protocol[Shown_contra]):
    """Lays something out for a width, without block characters if it has to."""

    def __call__(
        self, what: Shown_contra, /, *, width: int, ascii_only: bool
    ) -> RenderableType: ...


def print_shown(what: Shown_contra, show: Show[Shown_contra]) -> None:
    """Print to standard output what `show` lays out."""
    ascii_only = not _holds(sys.stdout.encoding, _SIGNS)
    console = Console(highlight=False, markup=False, emoji=False)
    if console.is_terminal and not ascii_only:
        console.print(show(what, width=console.width, ascii_only=False))
        return
    width = console.width if console.is_terminal else PLAIN_WIDTH
    print(plain(what, show, width=width, ascii_only=ascii_only))


def echo(text: str, *, err: bool = False) -> None:
    """Print a text; in ASCII where the stream cannot hold what is in it."""
    stream = sys.stderr if err else sys.stdout
    print(text if _holds(stream.encoding, text) else plainer(text), file=stream)


def plain(
    what: Shown_contra,
    show: Show[Shown_contra],
    *,
    width: int = PLAIN_WIDTH,
    ascii_only: bool = False,
) -> str:
    """What `show` lays out as plain text, at most `width` columns wide."""
    console = Console(file=StringIO(), width=width, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(show(what, width=width, ascii_only=ascii_only))
    lines = (line.rstrip() for line in capture.get().strip().splitlines())
    shown = "\n".join(lines)
    return plainer(shown) if ascii_only else shown


def plainer(shown: str) -> str:
    """A text whose characters are all ASCII, by likeness where there is one, else escaped."""
    return shown.translate(_PLAINER).encode("ascii", "backslashreplace").decode("ascii")


def _holds(encoding: str | None, text: str) -> bool:
    """Whether an output of this encoding can hold a text."""
    try:
        text.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
