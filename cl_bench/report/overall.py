"""Learners over several boards of one model, which all that are ranked were run on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cl_bench.metrics.undefined import Undefined
from cl_bench.report.board import Board, Overall, OverallRow, Row
from cl_bench.report.columns import EFFICIENCY, Column
from cl_bench.report.efficiency import BySeed
from cl_bench.report.rows import estimate, ranks

AVERAGED = (
    "average_accuracy",
    "average_accuracy_seed_prompt",
    "anytime_average_accuracy",
    "bwt_gem",
    "forgetting_max",
    "kl_policy_base",
    "kl_policy_base_seed_prompt",
)
"""Metrics whose mean over streams says something."""


def overall(boards: Sequence[Board]) -> list[Overall]:
    """One for every model that has at least two boards."""
    places: dict[str, list[int]] = {}
    for place, board in enumerate(boards):
        places.setdefault(board.key.model, []).append(place)
    return [_overall(boards, of_model) for of_model in places.values() if len(of_model) > 1]


def _overall(boards: Sequence[Board], places: Sequence[int]) -> Overall:
    """Ranked are the learners that no other surpasses in boards where they have a value, on the
    boards that all of these have."""
    having = {place: _with_value(boards[place]) for place in places}
    having = {place: rows for place, rows in having.items() if len(rows) > 1}
    counts: dict[str, int] = {}
    for rows in having.values():
        for label in rows:
            counts[label] = counts.get(label, 0) + 1
    most = max(counts.values(), default=0)
    ranked = [label for label in sorted(counts) if counts[label] == most]
    shared = [place for place, rows in having.items() if all(label in rows for label in ranked)]
    notes = [
        f"{label} is not ranked: it has no value on {', '.join(_lacking(label, having, boards))}"
        for label in sorted(counts)
        if counts[label] < most
    ]
    notes += [
        f"{boards[place].stream} is left out: fewer than two learners have a value on it"
        for place in places
        if place not in having
    ]
    chosen = shared if len(shared) > 1 else []
    if not chosen:
        notes.insert(0, "No learners were run on the same two streams, so none are ranked")
    columns = {name: boards[places[0]].columns[name] for name in AVERAGED}
    found = _rows([having[place] for place in chosen], ranked, columns) if chosen else []
    model = boards[places[0]].model
    return Overall(model, tuple(chosen), columns, tuple(found), tuple(notes))


def _with_value(board: Board) -> dict[str, Row]:
    return {
        row.label: row
        for row in board.rows
        if not isinstance(row.values["average_accuracy"], Undefined)
    }


def _lacking(
    label: str, having: Mapping[int, Mapping[str, Row]], boards: Sequence[Board]
) -> list[str]:
    return [boards[place].stream for place, rows in having.items() if label not in rows]


def _rows(
    by_board: Sequence[Mapping[str, Row]], labels: Sequence[str], columns: Mapping[str, Column]
) -> list[OverallRow]:
    per_seed = {
        label: {name: _means([rows[label] for rows in by_board], name) for name in columns}
        for label in labels
    }
    by_metric = {
        name: ranks([per_seed[label][name] for label in labels], column)
        for name, column in columns.items()
    }
    found = [
        OverallRow(
            label=label,
            values={name: estimate(name, per_seed[label][name]) for name in columns},
            per_seed=per_seed[label],
            ranks={name: by_metric[name][place] for name in columns},
        )
        for place, label in enumerate(labels)
    ]
    return sorted(found, key=_order)


def _means(rows: Sequence[Row], name: str) -> BySeed:
    """By seed, the mean over boards; undefined with the first reason where one has no value."""
    assert name not in EFFICIENCY  # whose means are geometric
    seeds = sorted({seed for row in rows for seed in row.seeds})
    return {seed: _mean([_value(row, name, seed) for row in rows]) for seed in seeds}


def _value(row: Row, name: str, seed: int) -> float | Undefined:
    return row.per_seed[name].get(seed, Undefined("there is no run with this seed on one stream"))


def _mean(values: Sequence[float | Undefined]) -> float | Undefined:
    found = []
    for value in values:
        if isinstance(value, Undefined):
            return value
        found.append(value)
    return sum(found) / len(found)


def _order(row: OverallRow) -> tuple[bool, float, str]:
    value = row.values["average_accuracy"]
    if isinstance(value, Undefined):
        return True, 0.0, row.label
    return False, -value.value, row.label
