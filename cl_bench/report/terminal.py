"""Output for a terminal: rich layouts as wide as it is, plain when piped, in ASCII if need be;
tables, headings, and learning curves as lines of characters."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import StringIO
from itertools import pairwise
from math import isnan
from textwrap import fill
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from cl_bench.contract.text import plainer
from cl_bench.metrics.quantities import SHARE

PLAIN_WIDTH = 100
"""Columns of what is not printed on a terminal."""
_SIGNS = "▁█│‖—−─…"
"""Block characters, boxes and signs."""
WIDEST = 1_000
"""Columns that hold any table."""
_LONGEST_WORD = 30
"""Columns that a word may take without being broken."""
_BRACKETED = re.compile(r" ([\[(])")


def print_shown(what: Any, show: Callable[..., RenderableType]) -> None:
    """Print to standard output what `show(what, width=…, ascii_only=…)` lays out."""
    ascii_only = not _holds(sys.stdout.encoding, _SIGNS)
    console = Console(highlight=False, markup=False, emoji=False)
    if console.is_terminal and not ascii_only:
        console.print(show(what, width=console.width, ascii_only=False))
        return
    width = console.width if console.is_terminal else PLAIN_WIDTH
    print(plain(what, show, width=width, ascii_only=ascii_only))


def plain(
    what: Any,
    show: Callable[..., RenderableType],
    *,
    width: int = PLAIN_WIDTH,
    ascii_only: bool = False,
) -> str:
    """The layout of `show` as plain text, at most `width` columns wide."""
    shown = plain_text(show(what, width=width, ascii_only=ascii_only), width)
    return plainer(shown) if ascii_only else shown


def plain_text(shown: RenderableType, width: int = PLAIN_WIDTH) -> str:
    """A layout as text without colours, at most `width` columns wide."""
    file = StringIO()
    # Without force_jupyter=False rich shows it in the notebook, whatever the file.
    console = Console(file=file, width=width, color_system=None, force_jupyter=False)
    console.print(shown)
    return "\n".join(line.rstrip() for line in file.getvalue().strip().splitlines())


def _holds(encoding: str | None, text: str) -> bool:
    """Whether an output of this encoding can hold a text."""
    try:
        text.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def heading(text: str) -> Text:
    """The heading of a section, below an empty line."""
    return Text(f"\n{text}", style="bold")


class _Fitting(Table):
    """A table in which neither numbers nor words are broken as long as there is room for them.

    Where it is too wide, texts and the headings of numbers are wrapped by words; where that is not
    enough, what stands behind a number in brackets goes below it; and where that is not, each row
    is a paragraph.
    """

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        def measured() -> Measurement:
            return Measurement.get(console, options.update(width=WIDEST), self)

        paragraphs = list(self._paragraphs())
        if measured().maximum > options.max_width:
            self._wrap()
            if measured().minimum > options.max_width:
                for column in self._numbers():
                    column._cells = [_BRACKETED.sub(r"\n\1", str(of)) for of in column._cells]
                self._wrap()
            if measured().minimum > options.max_width:
                yield from paragraphs
                return
        yield from super().__rich_console__(console, options)

    def _paragraphs(self) -> Iterator[RenderableType]:
        """Each row as its first cell and, below, the others with their headings."""
        headings = [" ".join(str(column.header).split()) for column in self.columns[1:]]
        for first, *cells in zip(*(column._cells for column in self.columns), strict=True):
            yield Text(str(first))
            pairs = zip(headings, map(str, cells), strict=True)
            said = ", ".join(f"{name} {cell}".strip() for name, cell in pairs if cell)
            yield Padding(Text(said), (0, 0, 0, 2), expand=False)

    def _numbers(self) -> list[Column]:
        return [column for column in self.columns if column.justify == "right"]

    def _wrap(self) -> None:
        for column in self.columns:
            lines = [line for cell in column._cells for line in str(cell).splitlines()]
            heading = str(column.header).split()
            if column.justify == "right":
                column.min_width = max(map(cell_len, [*lines, *heading]), default=1)
                column.header = fill(" ".join(heading), column.min_width, break_on_hyphens=False)
                column.no_wrap = True
            else:
                words = [*heading, *(word for line in lines for word in line.split())]
                least = min(_LONGEST_WORD, max(map(cell_len, words), default=1))
                column.min_width = max(column.min_width or 0, least)


def table(*headings: str, **options: Any) -> Table:
    """A table whose first column is text, and every other one with a heading is numbers."""
    made = _Fitting(
        box=box.SIMPLE_HEAD, pad_edge=False, header_style="", show_edge=False, **options
    )
    for place, name in enumerate(headings):
        made.add_column(name, justify="right" if place and name else "left")
    return made


BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = "_.:-=+*#"
_BAR, _ASCII_BAR = "│", "|"
_MOST = 4
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
    wide = min(_MOST, max(1, room // max(len(share_E), 1)))
    shown = [
        "".join(_character(share, levels) * wide for share in _thinned(shares, room, len(share_E)))
        for shares in stages
    ]
    return bar.join(shown)


def section(
    title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]
) -> list[RenderableType]:
    """A heading and its `table`; nothing without rows."""
    shown = table(*headings)
    for row in rows:
        shown.add_row(*row)
    return [heading(title), shown] if shown.rows else []


def curve_grid() -> Table:
    """A grid for curves: domain, whose, first value, curve, last value."""
    grid = Table.grid(padding=(0, 1))
    for justify in ("left", "left", "right", "left", "right"):
        grid.add_column(justify=justify, no_wrap=True)
    return grid


def add_curve(
    grid: Table,
    labels: tuple[str, str],
    share_E: Sequence[float],
    stage_E: Sequence[int],
    *,
    width: int,
    ascii_only: bool,
) -> None:
    """Add a row to a `curve_grid`; `labels` are the domain and whose curve it is."""
    line = sparkline(share_E, stage_E, width=width, ascii_only=ascii_only)
    first, last = SHARE.text(share_E[0]), SHARE.text(share_E[-1])
    grid.add_row(*map(Text, labels), first, Text(line), last)


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
