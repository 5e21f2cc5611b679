"""A table of learners as plain texts, which Markdown, LaTeX and the terminal lay out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isclose
from typing import TypeVar

from cl_bench.analysis.run_values import Column
from cl_bench.metrics.digits import in_column
from cl_bench.metrics.quantities import NOTHING
from cl_bench.metrics.stats.ranks import Ranks
from cl_bench.metrics.stats.student import Estimate, Interval
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.board import BoardRow, Overall, RankedRow, best_mean, unranked
from cl_bench.report.page.board_record import DrawnBoard
from cl_bench.report.page.boards import seeds_of
from cl_bench.report.page.cells import RANKED_BY, SPENT, parted, short
from cl_bench.report.page.contents import Contents

PRIORITY = (
    *("average_accuracy", "forgetting_max", "kl_policy_base", "sample_efficiency", "bwt_gem"),
    *("rollouts", "seconds", "tokens", "anytime_average_accuracy", "sample_efficiency_rollouts"),
)
"""The columns that are shown where there is room, those first that are left out last."""
_Row = TypeVar("_Row", bound=RankedRow)
_ARROWS = {"higher": "↑", "lower": "↓"}


@dataclass(frozen=True)
class HeadText:
    """The heading of a column."""

    name: str
    title: str
    unit: str
    arrow: str
    """Which way is better; empty where neither is."""
    leads: bool
    """Whether the rows are sorted by it."""


@dataclass(frozen=True)
class CellText:
    """A mean over seeds."""

    mean: str
    half: str
    """Half of its interval, where that lies evenly about it."""
    ends: str
    """Its interval, in brackets."""
    of_seeds: str
    """`2 of 3`, where it rests on other seeds than its row."""
    best: bool
    """Whether it is the best of its column."""


@dataclass(frozen=True)
class RowText:
    """A learner."""

    name: str
    choice: str
    """`1 of 2 settings, with the most seeds`; empty for a learner with one."""
    told: str
    """Of a learner with several settings, this one."""
    rank: str
    seeds: str
    cells: Sequence[CellText]
    folded: Sequence[RowText]


@dataclass(frozen=True)
class TableText:
    """The learners on one board, or over all streams."""

    heads: Sequence[HeadText]
    rows: Sequence[RowText]
    unranked: str
    """Why none has a rank: `3 of 8 seeds needed to rank`; empty if one has."""


@dataclass(frozen=True)
class TitledTable:
    """A table with what its rows have in common."""

    title: str
    model: str
    text: TableText


def tables(contents: Contents) -> list[TitledTable]:
    """What a report ranks: learners over all streams, then on each board, by their main numbers."""
    found = [
        TitledTable(of.title, of.model, overall_text(of))
        for of in contents.leaderboard.overall
        if of.rows
    ]
    for drawn, title in contents.shown:
        board, (main, _) = drawn.board, parted(drawn.board)
        text = board_text(drawn, main)
        found.append(TitledTable(f"Stream {title}", board.model, text))
    return found


def board_text(drawn: DrawnBoard, columns: Mapping[str, Column]) -> TableText:
    """The table of a board, with these of its columns."""
    return _table(columns, drawn.board.rows, _seeds_of_board)


def overall_text(overall: Overall) -> TableText:
    """The table over all streams."""
    return _table(overall.columns, overall.rows, _seeds_of_all)


def _table(
    columns: Mapping[str, Column], rows: Sequence[_Row], seeds: Callable[[RankedRow], str]
) -> TableText:
    heads = [
        HeadText(
            name,
            short(name, column),
            column.quantity.heading,
            _ARROWS.get(column.better, ""),
            name == RANKED_BY,
        )
        for name, column in columns.items()
    ]
    best = {name: best_mean(rows, name, column) for name, column in columns.items()}
    return TableText(
        heads, [_row(row, columns, best, seeds) for row in rows], unranked(rows, RANKED_BY)
    )


def _row(
    row: RankedRow,
    columns: Mapping[str, Column],
    best: Mapping[str, float | None],
    seeds: Callable[[RankedRow], str],
) -> RowText:
    rank = row.ranks.get(RANKED_BY)
    return RowText(
        name=row.name,
        choice=row.choice,
        told=row.told,
        rank=f"{rank} of {rank.of}" if isinstance(rank, Ranks) else NOTHING,
        seeds=seeds(row),
        cells=[
            _cell(column, row.values[name], seeds_of(row), best[name])
            for name, column in columns.items()
        ],
        folded=[_row(other, columns, dict.fromkeys(columns), seeds) for other in row.folded],
    )


def _cell(column: Column, value: Estimate | Undefined, seeds: int, best: float | None) -> CellText:
    if isinstance(value, Undefined):
        return CellText(NOTHING, "", "", "", best=False)
    of, ends, half = in_column(column.quantity, value), "", ""
    if isinstance(value.interval, Interval) and of not in SPENT:
        ends = of.interval(value.interval)
        low, high = value.interval.low, value.interval.high
        if isclose(high - value.value, value.value - low, rel_tol=1e-6):
            half = of.distance.number((high - low) / 2)
    other = "" if value.seeds == seeds else f"{value.seeds} of {value.of_seeds}"
    return CellText(of.number(value.value), half, ends, other, best=value.value == best)


def _seeds_of_board(row: RankedRow) -> str:
    assert isinstance(row, BoardRow)
    done = sum(status == "done" for status in row.status.values())
    others = [f"{seed} {status}" for seed, status in row.status.items() if status != "done"]
    return f"{done} of {len(row.seeds)}" + (f" ({', '.join(others)})" if others else "")


def _seeds_of_all(row: RankedRow) -> str:
    return f"{seeds_of(row)} of {len(row.per_seed[RANKED_BY])}"
