"""The cells of the leaderboard's tables as HTML: values, intervals and ranks with small bars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cl_bench.analysis.run_values import Column
from cl_bench.metrics.digits import in_column
from cl_bench.metrics.quantities import NOTHING, ROLLOUTS, SECONDS, TOKENS
from cl_bench.metrics.stats.ranks import Ranks
from cl_bench.metrics.stats.student import Estimate, Interval
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.look import Look
from cl_bench.report.blocks.write_html import escaped
from cl_bench.report.board import Board, RankedRow, best_mean
from cl_bench.report.page.glossary import definition

RANKED_BY = "average_accuracy"
"""The metric whose ranks stand in the rank column until the reader sorts by another."""
MAIN = (
    *("average_accuracy", "bwt_gem", "forgetting_max", "kl_policy_base"),
    *("kl_policy_base_seed_prompt", "plasticity_ratio", "sample_efficiency"),
    *("sample_efficiency_rollouts", "rollouts", "tokens", "seconds"),
)
"""The others stand in a table of their own."""
_COMPACT = ("average_accuracy", "kl_policy_base", "forgetting_max")
"""Those that a narrow screen has room for beside one another."""
_SHORT = {
    "bwt_gem": "backward transfer",
    "forgetting_max": "forgetting",
    "kl_policy_base": "KL",
    "kl_policy_base_seed_prompt": "KL, seed prompt",
    "kl_deployed_start": "KL, deployed from start",
    "format_rate": "answers in a form",
    "truncation_rate": "cut off",
    "completion_tokens": "length, tokens",
    "pass_at_k": "pass@k",
    "greedy_accuracy": "greedy",
    "plasticity_ratio": "plasticity",
    "sample_efficiency": "efficiency, samples",
    "sample_efficiency_rollouts": "efficiency, rollouts",
    "harder_accuracy": "hardest setting",
    "retention_delta": "outside the stream",
    "min_accuracy": "worst accuracy",
}


def short(name: str, column: Column) -> str:
    """A column's name where room is scarce."""
    return _SHORT.get(name, column.title)


def parted(board: Board) -> tuple[dict[str, Column], dict[str, Column]]:
    """The columns at first sight, and the others, among them those in which no row has a value."""
    known = {
        name
        for name in board.columns
        if any(not isinstance(row.values[name], Undefined) for row in board.rows)
    } | {RANKED_BY}
    main = {name: board.columns[name] for name in MAIN if name in board.columns and name in known}
    return main, {name: column for name, column in board.columns.items() if name not in main}


SPENT = (ROLLOUTS, TOKENS, SECONDS)
"""Amounts that were spent, which have no bars."""
_WIDTH, _HEIGHT = 76.0, 8.0


@dataclass(frozen=True)
class Scale:
    """The values that the bars of one column span."""

    low: float
    high: float

    def across(self, value: float) -> float:
        """Return the place of a value, in the bar's units."""
        share = (value - self.low) / (self.high - self.low)
        return round(3 + share * (_WIDTH - 6), 1)


def scale(values: Iterable[Estimate | Undefined]) -> Scale | None:
    """The scale that holds all values and intervals; None if there is no difference to see."""
    ends: list[float] = []
    for value in values:
        if isinstance(value, Estimate):
            ends.append(value.value)
            if isinstance(value.interval, Interval):
                ends += [value.interval.low, value.interval.high]
    return Scale(min(ends), max(ends)) if ends and min(ends) < max(ends) else None


@dataclass(frozen=True)
class ShownColumn:
    """A column of a table and what its cells share."""

    name: str
    column: Column
    bars: Scale | None
    best: float | None
    """The best mean of its rows (`best_mean`)."""

    @classmethod
    def of(
        cls,
        name: str,
        column: Column,
        rows: Sequence[RankedRow],
        every: Sequence[RankedRow],
    ) -> ShownColumn:
        """The column over the `rows` of a table; `every` one has those that fold under others."""
        bars = scale(row.values[name] for row in every)
        return cls(name, column, bars, best_mean(rows, name, column))

    def kind(self, value: Estimate | Undefined) -> str:
        """The attribute of a cell's classes."""
        names = {
            "compact": self.name in _COMPACT,
            "sorted": self.name == RANKED_BY,
            "best": isinstance(value, Estimate) and value.value == self.best,
        }
        said = " ".join(name for name, applies in names.items() if applies)
        return f' class="{said}"' if said else ""


def heading(name: str, column: Column, *, first: str = RANKED_BY) -> str:
    """A column's heading, with its unit and what is better; `first` is the column that the table
    comes sorted by."""
    sign = {"higher": "↑", "lower": "↓"}.get(column.better, "")
    better = f'<abbr title="{column.better} is better">{sign}</abbr>' if sign else ""
    unit = escaped(column.quantity.heading).replace("/", "/&#8203;")  # may break there
    small = " ".join(part for part in (unit, better) if part)
    order = "ascending" if column.better == "lower" else "descending"
    came = f' aria-sort="{order}"' if name == first else ""
    kind = ' class="compact"' if name in _COMPACT else ""
    said = f"{column.title}: {definition(name, column)}"
    return (
        f'<th scope="col" data-sort="{escaped(name)}" data-better="{column.better}"{came}{kind} '
        f'title="{escaped(said)}"><span class="name">{escaped(short(name, column))}</span> '
        f"<small>{small}</small></th>"
    )


def value_cell(
    shown: ShownColumn,
    value: Estimate | Undefined,
    ranks: Ranks | Undefined | None,
    look: Look,
    note: str,
    seeds: int,
) -> str:
    """A value over its bar and its interval; `note` is what a dash refers to, HTML already.

    How many seeds it rests on is said where they are not the row's `seeds`. The script shows the
    metric's ranks while its column is sorted.
    """
    kind = shown.kind(value)
    if isinstance(value, Undefined):
        return f"<td{kind}><div>{NOTHING}{note}</div></td>"
    of = in_column(shown.column.quantity, value)
    parts = [f'<span class="value">{escaped(of.number(value.value))}</span>']
    interval = value.interval if isinstance(value.interval, Interval) else None
    if shown.bars is not None and of not in SPENT:
        parts.append(_bar(shown.bars, value.value, interval, look))
    if interval is not None and of not in SPENT:
        parts.append(f'<small class="ends">{escaped(of.interval(interval))}</small>')
    if value.seeds != seeds:
        parts.append(f'<small class="ends">{value.seeds} of {value.of_seeds}</small>')
    ranked = (
        f' data-rank="{ranks.best} {ranks.worst} {ranks.of}"' if isinstance(ranks, Ranks) else ""
    )
    value_of = f'data-value="{value.value!r}"{ranked}'
    return f"<td{kind} {value_of}><div>{''.join(parts)}</div></td>"


def rank_cell(ranks: Ranks | Undefined | None, look: Look) -> str:
    """A rank interval, with a bar over all ranks."""
    if ranks is None or isinstance(ranks, Undefined):
        return f'<td class="rank"><div>{NOTHING}</div></td>'
    text = escaped(str(ranks))
    return (
        f'<td class="rank" data-value="{ranks.best + ranks.worst}">'
        f'<div><span class="value">{text} <small>of {ranks.of}</small></span>'
        f"{_rank_bar(ranks, look)}</div></td>"
    )


def swatch(look: Look) -> str:
    """A learner's colour and marker, to stand before its name; the script draws the marker."""
    dashed = " dashed" if look.dashed else ""
    return (
        f'<svg class="swatch k{look.place}{dashed}" viewBox="0 0 26 12" width="26" height="12" '
        'preserveAspectRatio="xMidYMid slice" '
        f'aria-hidden="true"><path class="stroke" d="M1 6H25"/>'
        f'<path class="fill" d="{MARKER_PATHS[look.marker]}" transform="translate(13 6)"/></svg>'
    )


MARKER_PATHS = {
    "o": "M-3.6 0a3.6 3.6 0 1 0 7.2 0a3.6 3.6 0 1 0 -7.2 0z",
    "s": "M-3.2 -3.2h6.4v6.4h-6.4z",
    "D": "M0 -4.4L4.4 0L0 4.4L-4.4 0z",
    "^": "M0 -4.2L4.2 3.4H-4.2z",
    "v": "M0 4.2L4.2 -3.4H-4.2z",
    "P": "M-1.5 -4.2h3v2.7h2.7v3h-2.7v2.7h-3v-2.7h-2.7v-3h2.7z",
    "*": "M0 -4.8L1.3 -1.6L4.6 -1.5L2 .6L2.9 3.9L0 2L-2.9 3.9L-2 .6L-4.6 -1.5L-1.3 -1.6z",
    "X": "M-4 -2.2L-2.2 -4L0 -1.8L2.2 -4L4 -2.2L1.8 0L4 2.2L2.2 4L0 1.8L-2.2 4L-4 2.2L-1.8 0z",
}
"""Outlines of the markers around (0, 0), by their letters in matplotlib."""


def _bar(bars: Scale, value: float, interval: Interval | None, look: Look) -> str:
    line = ""
    if interval is not None:
        ends = (bars.across(interval.low), bars.across(interval.high))
        line = f'<path class="stroke" d="M{ends[0]} 4H{ends[1]}"/>'
    dot = f'<circle class="fill" cx="{bars.across(value)}" cy="4" r="2.8"/>'
    ground = f'<path class="ground" d="M0 4H{_WIDTH:.0f}"/>'
    return _svg(f"bar k{look.place}", f"{ground}{line}{dot}")


def _rank_bar(ranks: Ranks, look: Look) -> str:
    """A tick for every rank, and a line over those that the learner may have."""
    step = min(12.0, (_WIDTH - 6) / max(ranks.of - 1, 1))
    best, worst = (3 + step * (rank - 1) for rank in (ranks.best, ranks.worst))
    ticks = "".join(f"M{3 + step * place:.1f} 2.5v3" for place in range(ranks.of))
    ends = f'<path class="rank-line stroke" d="M{best - 2:.1f} 4H{worst + 2:.1f}"/>'
    return _svg(f"bar k{look.place}", f'<path class="ground" d="{ticks}"/>{ends}')


def _svg(kind: str, inner: str) -> str:
    size = f'viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" width="{_WIDTH:.0f}" height="{_HEIGHT:.0f}"'
    return f'<svg class="{kind}" {size} aria-hidden="true">{inner}</svg>'
