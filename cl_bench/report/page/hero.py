"""The figure at the top of a report: how much is solved against how far the model moved, and what
was forgotten; over all streams, or of the board that compares most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cl_bench.metrics.stats.student import Estimate, Interval
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.drawings import percent
from cl_bench.report.blocks.look import Look
from cl_bench.report.board import RankedRow
from cl_bench.report.page.board_record import MOST_DRAWN, look_record, overall_looks
from cl_bench.report.page.contents import Contents
from cl_bench.report.page.curve_figures import kl_axis
from cl_bench.report.page.record import rounded
from cl_bench.report.page.sheets import legend, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READING = (
    "Up: more is solved; left: nearer to the base model; the larger the disc, the more was "
    "forgotten. Lines: 95 % over seeds."
)
HERO = "leaderboard"
"""The name of its file."""
_DISC = 34.0
"""Points of a disc's radius where all was forgotten."""


@dataclass(frozen=True, eq=False)
class Hero:
    """What the figure draws: two rows or more."""

    title: str
    anchor: str
    """Of the table with these rows."""
    rows: Mapping[int, tuple[RankedRow, Look]]
    """By place in that table, those whose accuracy and KL are known."""


def hero(contents: Contents) -> Hero | None:
    """The learners over all streams, or those of the board that compares most; None for fewer than
    two with accuracy and KL."""
    for number, overall in enumerate(one for one in contents.leaderboard.overall if one.rows):
        if len(overall.rows) > 1:
            title = f"{overall.title}, model {overall.model}"
            looks = overall_looks(overall, contents.boards)
            return _hero(title, f"overall-{number}", overall.rows, looks)
    drawn, title = max(contents.shown, key=lambda one: len(one[0].board.rows), default=(None, ""))
    return None if drawn is None else _hero(title, drawn.anchor, drawn.board.rows, drawn.looks)


def _hero(title: str, anchor: str, rows: Sequence[RankedRow], looks: Sequence[Look]) -> Hero | None:
    known = {
        place: (row, look)
        for place, (row, look) in enumerate(zip(rows, looks, strict=True))
        if isinstance(row.values["average_accuracy"], Estimate)
        and isinstance(row.values["kl_policy_base"], Estimate)
    }
    return Hero(title, anchor, known) if len(known) > 1 else None


def hero_record(of: Hero) -> dict[str, Any]:
    """The figure as the page's script reads it: numbers are [mean, low, high]."""
    names = ("average_accuracy", "kl_policy_base", "forgetting_max")
    rows = [
        {
            "row": f"{of.anchor}-{place}",
            "label": row.name,
            "series": row.learner,
            "look": look_record(look),
            "disc": round(_disc(row), 1),
            **{name: _ends(row.values[name]) for name in names},
        }
        for place, (row, look) in of.rows.items()
    ]
    return {"title": of.title, "reading": READING, "most": MOST_DRAWN, "rows": rows}


def _disc(row: RankedRow) -> float:
    """The radius of a row's disc, whose area is what was forgotten."""
    lost = row.values["forgetting_max"]
    known = lost.value if isinstance(lost, Estimate) else 0.0
    return float(_DISC * np.sqrt(np.clip(known, 0, 1)))


def _ends(value: Estimate | Undefined) -> list[float | None]:
    if isinstance(value, Undefined):
        return [None, None, None]
    ends = value.interval
    low, high = (ends.low, ends.high) if isinstance(ends, Interval) else (None, None)
    return [None if one is None else rounded([one])[0] for one in (value.value, low, high)]


def hero_figure(of: Hero) -> Figure:
    """The same as a figure file."""
    rows = [*of.rows.values()][:MOST_DRAWN]
    known = [row.values["kl_policy_base"] for row, _ in rows]
    kl = np.array([value.value for value in known if isinstance(value, Estimate)])
    with sheet(1, 1, 3.9) as (figure, ((axes,),)):
        floor = kl_axis(axes, kl, "KL(policy ‖ base) at the end, nats per token")
        for (row, look), at in zip(rows, np.maximum(kl, floor), strict=True):
            _point(axes, row, look, float(at))
        axes.set_ylabel("average accuracy")
        axes.set_ylim(-0.02, 1.04)
        percent(axes)
        legend(figure, [(row.name, look) for row, look in rows])
        return figure


def _point(axes: Axes, row: RankedRow, look: Look, at: float) -> None:
    share = row.values["average_accuracy"]
    assert isinstance(share, Estimate)
    wide = (2 * _disc(row)) ** 2
    axes.scatter([at], [share.value], s=wide, color=look.colour, alpha=0.15, lw=0)
    if isinstance(share.interval, Interval):
        ends = [max(share.interval.low, -0.02), min(share.interval.high, 1.04)]
        axes.plot([at, at], ends, color=look.colour, lw=1, clip_on=False)
    style: Any = {"color": look.colour, "marker": look.marker}
    axes.plot([at], [share.value], ls="none", ms=7, clip_on=False, **style)
