"""Learning curves as a line of characters, with a bar where a stage ends."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import isnan

from rich.table import Table

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
