"""Printing what rich lays out: as wide as the terminal, plain when piped, ASCII if need be."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import StringIO
from itertools import pairwise
from math import isnan
from typing import Protocol, TypeVar

from rich.console import Console, RenderableType
from rich.table import Table

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


BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = "_.:-=+*#"
_BAR, _ASCII_BAR = "│", "|"
_WIDEST = 4
"""Characters of one evaluation, where there is room."""
_MISSING = " "


def sparkline(
    share_E: Sequence[float],
    stage_E: Sequence[int],
    *,
    width: int,
    ascii_only: bool = False,
) -> str:
    """A curve of shares from 0 to 1 at successive evaluations, at most `width` characters wide.

    `stage_E` are the stages that the evaluations belong to, 0 before training; a bar stands where
    the next one begins. NaN is a gap. Where there are more evaluations than room, each character
    shows the mean of several of one stage. A width too small for one a stage is exceeded.
    """
    levels, bar = (ASCII, _ASCII_BAR) if ascii_only else (BLOCKS, _BAR)
    stages = _by_stage(share_E, stage_E)
    room = max(len(stages), width - (len(stages) - 1))
    wide = min(_WIDEST, max(1, room // max(len(share_E), 1)))
    shown = [
        "".join(_character(share, levels) * wide for share in _thinned(shares, room, len(share_E)))
        for shares in stages
    ]
    return bar.join(shown)


def curve_grid() -> Table:
    """A grid for curves: domain, whose, first value, curve, last value."""
    table = Table.grid(padding=(0, 1))
    for justify in ("left", "left", "right", "left", "right"):
        table.add_column(justify=justify, no_wrap=True)
    return table


def _by_stage(share_E: Sequence[float], stage_E: Sequence[int]) -> list[list[float]]:
    """The curve in pieces; what was before training stands with the first stage."""
    pieces: dict[int, list[float]] = {}
    for share, stage in zip(share_E, stage_E, strict=True):
        pieces.setdefault(max(stage, 1), []).append(share)
    return [pieces[stage] for stage in sorted(pieces)]


def _thinned(shares: Sequence[float], room: int, total: int) -> list[float]:
    """As many means of neighbours as the stage's part of the room takes, at least one."""
    if total <= room:
        return list(shares)
    places = max(1, len(shares) * room // total)
    ends = [round(place * len(shares) / places) for place in range(places + 1)]
    return [_mean(shares[start:end]) for start, end in pairwise(ends)]


def _mean(shares: Sequence[float]) -> float:
    known = [share for share in shares if not isnan(share)]
    return sum(known) / len(known) if known else float("nan")


def _character(share: float, levels: str) -> str:
    if isnan(share):
        return _MISSING
    return levels[max(0, min(len(levels) - 1, int(share * len(levels))))]
