"""Figure files of a board that show amounts: gains by channel, item turnover, cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cl_bench.report.blocks.look import PALETTE, named
from cl_bench.report.page.bands import GAINS, Band
from cl_bench.report.page.board_record import DrawnBoard
from cl_bench.report.page.sheets import label_height, sheet, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class _Mark(NamedTuple):
    """How one of several amounts of a row looks."""

    title: str
    colour: str
    marker: str


_GAINS = {
    "slow": _Mark("weights alone", PALETTE[0], "s"),
    "fast": _Mark("prompt alone", PALETTE[4], "^"),
    "joint": _Mark("both", PALETTE[2], "o"),
}
_CHANGES = (_Mark("gained", PALETTE[2], "^"), _Mark("lost", PALETTE[1], "v"))
_ACROSS = 5
"""Panels beside one another."""
REST = "rest"
"""Wall time of all phases that have no part of their own."""
_SPENT: Mapping[str, tuple[Mapping[str, str], float, str]] = {
    "rollouts": ({"slow": "RL", "fast": "prompt optimiser"}, 1.0, "rollouts"),
    "tokens": (
        {
            "prompt_tokens": "read",
            "generated_tokens": "sampled",
            "reflection_tokens": "reflection",
        },
        1e6,
        "million tokens",
    ),
    "seconds": (
        {"learn": "learning", "evaluate": "evaluating", REST: "else"},
        60.0,
        "minutes",
    ),
}


def channels(board: DrawnBoard) -> Figure:
    """Draw the share of each channel in the gain over the base model."""
    known = [(name, drawn.gains) for name, _, drawn in board.seen if drawn.gains is not None]
    marks = [_GAINS[gain] for gain in GAINS]
    label = "gain over the base model under the seed prompt, points"
    return _forest({"": [(name, gains, [1, 1, 1]) for name, gains in known]}, marks, label)


def turnover(board: DrawnBoard) -> Figure:
    """Test problems gained and lost, a panel for every stage."""
    known = [(name, drawn.changes) for name, _, drawn in board.seen if drawn.changes is not None]
    count = max(len(changes.mean_P) // 2 for _, changes in known)
    panels = {
        f"stage {stage + 1}, {named(board.stages[stage][0])}": [
            (name, _part(changes, [stage, count + stage]), [1, -1]) for name, changes in known
        ]
        for stage in range(count)
    }
    return _forest(panels, _CHANGES, "share of test problems, points")


def _part(band: Band, places: Sequence[int]) -> Band:
    low, high = (None if end is None else end[places] for end in (band.low_P, band.high_P))
    return Band(band.seeds_S_P[:, places], band.mean_P[places], low, high)


_Group = tuple[str, Band, Sequence[int]]
"""The name of a row, its values and their signs."""


def _forest(panels: Mapping[str, Sequence[_Group]], marks: Sequence[_Mark], label: str) -> Figure:
    """Means with intervals, and dots for seeds; panels of the same rows, by title."""
    names = [wrapped(name) for name, _, _ in next(iter(panels.values()))]
    each = max(0.1 + 0.15 * len(marks), label_height(names))
    across = min(len(panels), _ACROSS)
    down = -(-len(panels) // across)
    height = 0.5 + down * (0.5 + each * len(names))
    with sheet(down, across, height, sharex=True, sharey=True) as (figure, drawn):
        for axes, (title, groups) in zip(drawn.flat, panels.items(), strict=False):
            for place, (_, band, signs) in enumerate(groups):
                for number, (mark, sign) in enumerate(zip(marks, signs, strict=True)):
                    at = place + 0.22 * (number - (len(marks) - 1) / 2)
                    _item(axes, at, band, number, 100 * sign, mark)
            axes.axvline(0, color="#888888", lw=0.8)
            axes.set_title(title, fontsize=8)
            axes.tick_params(labelbottom=True)
        for axes in drawn.flat[len(panels) :]:
            axes.remove()
        drawn.flat[0].set_yticks(range(len(names)), names)
        drawn.flat[0].set_ylim(len(names) - 0.5, -0.5)
        figure.supxlabel(label, fontsize=9)
        handles = [
            drawn.flat[0].plot([], [], ls="none", color=m.colour, marker=m.marker, label=m.title)[0]
            for m in marks
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=len(marks))
        return figure


def _item(axes: Axes, at: float, band: Band, number: int, times: float, mark: _Mark) -> None:
    if len(band.seeds_S_P) > 1:
        seeds = times * band.seeds_S_P[:, number]
        axes.plot(seeds, np.full(len(seeds), at), ".", color=mark.colour, ms=3, alpha=0.5)
    if band.low_P is not None and band.high_P is not None:
        ends = [times * band.low_P[number], times * band.high_P[number]]
        axes.plot(ends, [at, at], color=mark.colour, lw=1.5)
    axes.plot(times * band.mean_P[number], at, ls="none", color=mark.colour, marker=mark.marker)


def cost(board: DrawnBoard) -> Figure:
    """Rollouts, tokens and wall time of every row; a whole bar is the sum in the tables."""
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    seen = board.seen
    each = max(0.32, label_height(name for name, _, _ in seen))
    with sheet(1, 3, 1.2 + each * len(seen), sharey=True) as (figure, (panels,)):
        for axes, (what, (names, unit, title)) in zip(panels, _SPENT.items(), strict=True):
            start = np.zeros(len(seen))
            for number, (kind, words) in enumerate(names.items()):
                amount = np.array([_amounts(d.spent[what], names)[kind] / unit for _, _, d in seen])
                colour, hatch = PALETTE[(0, 4, 6)[number]], ("", "///", "...")[number]
                bars: Any = {"left": start, "label": words, "edgecolor": "white"}
                axes.barh(range(len(seen)), amount, color=colour, hatch=hatch, **bars)
                start = start + amount
            axes.set_xlabel(title)
            axes.xaxis.set_major_locator(MaxNLocator(3))
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
            axes.set_yticks(range(len(seen)), [wrapped(name) for name, _, _ in seen])
            axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=7)
        panels[0].set_ylim(len(seen) - 0.5, -0.5)
        return figure


def _amounts(parts: Mapping[str, float], names: Mapping[str, str]) -> dict[str, float]:
    """By the parts that are drawn; what has no part of its own is the rest."""
    found = {kind: parts.get(kind, 0.0) for kind in names}
    if REST in names:
        found[REST] = sum(amount for kind, amount in parts.items() if kind not in names)
    return found
