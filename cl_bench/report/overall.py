"""Learners over several boards of one model, which all that are ranked were run on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from cl_bench.analysis.entries import EFFICIENCY
from cl_bench.analysis.paired import BySeed
from cl_bench.analysis.run_values import Column
from cl_bench.metrics.undefined import Undefined, mean_of
from cl_bench.report.blocks.look import learner_label
from cl_bench.report.board import Board, BoardRow, Overall, RankedRow, titles
from cl_bench.report.rows import means_and_ranks, telling_settings

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


_NAMED, _MOST_NOTES = 10, 100
"""Boards that a note names, and lines of one kind, and rows, of which more are counted."""
_ALONE = "fewer than two learners have a value on it"
_ByBoard = Mapping[int, Mapping[tuple[str, str], BoardRow]]
"""By the place of a board, then by learner and settings, the rows that have a value."""


def overall(boards: Sequence[Board]) -> list[Overall]:
    """One for every model that has at least two boards."""
    places: dict[str, list[int]] = {}
    for place, board in enumerate(boards):
        places.setdefault(board.key.model, []).append(place)
    named = titles(boards)
    return [_overall(boards, of_model, named) for of_model in places.values() if len(of_model) > 1]


def _overall(boards: Sequence[Board], places: Sequence[int], named: Sequence[str]) -> Overall:
    """Ranked are the learners, each with one setting, that no other surpasses in boards where they
    have a value, on the boards that all of these have."""
    known = {place: _with_value(boards[place]) for place in places}
    having = {place: rows for place, rows in known.items() if len(rows) > 1}
    counts = Counter(key for rows in having.values() for key in rows)
    most = max(counts.values(), default=0)
    ranked = sorted(key for key in counts if counts[key] == most)
    shared = [place for place, rows in having.items() if all(key in rows for key in ranked)]
    chosen = shared if len(shared) > 1 else []
    notes = _left_out(having, {key for key in counts if counts[key] < most}, places, named)
    if not chosen:
        notes.insert(0, "No learners were run on the same two streams, so none are ranked")
    columns = {name: boards[places[0]].columns[name] for name in AVERAGED}
    found = _rows({place: having[place] for place in chosen}, ranked, columns) if chosen else []
    if (more := len(found) - _MOST_NOTES) > 0:
        notes.insert(0, f"Shown are the best {_MOST_NOTES} rows; {more:,} more were run on all")
        found = found[:_MOST_NOTES]
    return Overall(boards[places[0]].model, tuple(chosen), columns, tuple(found), tuple(notes))


def _left_out(
    having: _ByBoard,
    unranked: Collection[tuple[str, str]],
    places: Iterable[int],
    named: Sequence[str],
) -> list[str]:
    """Why rows are not ranked and boards are not averaged, a line each; of very many the first."""
    labels = _labels(having)
    first = sorted(unranked, key=labels.__getitem__)[:_MOST_NOTES]
    notes = [
        f"{labels[key]} is not ranked: it has no value on "
        f"{_few([named[place] for place, rows in having.items() if key not in rows])}"
        for key in first
    ]
    if more := len(unranked) - len(first):
        notes.append(f"{more:,} more rows are not ranked: they lack a value on some stream")
    apart = [named[place] for place in places if place not in having]
    notes += [f"{name} is left out: {_ALONE}" for name in apart[:_MOST_NOTES]]
    if (more := len(apart) - _MOST_NOTES) > 0:
        notes.append(f"{more:,} more boards are left out: {_ALONE}")
    return notes


def _few(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return "; ".join([*names[:_NAMED], *([f"and {more:,} more"] if more > 0 else [])])


def _with_value(board: Board) -> dict[tuple[str, str], BoardRow]:
    return {
        row.key: row
        for row in board.rows
        if not isinstance(row.values["average_accuracy"], Undefined)
    }


def _labels(having: _ByBoard) -> dict[tuple[str, str], str]:
    """The name of every row in notes: its learner, with the settings that only this row has."""
    one = {key: row for rows in having.values() for key, row in rows.items()}
    telling = telling_settings((row.learner, row.configured) for row in one.values())
    told = {key: telling[row.learner](row.configured) for key, row in one.items()}
    return {
        key: f"{learner_label(row.learner)} ({told[key]})"
        if told[key]
        else learner_label(row.learner)
        for key, row in one.items()
    }


def _rows(
    having: _ByBoard, ranked: Sequence[tuple[str, str]], columns: Mapping[str, Column]
) -> list[RankedRow]:
    one = [next(iter(having.values()))[key] for key in ranked]
    per_seed = [
        {name: _means([rows[key] for rows in having.values()], name) for name in columns}
        for key in ranked
    ]
    telling = telling_settings((row.learner, row.configured) for row in one)
    found = [
        RankedRow(
            row.learner, telling[row.learner](row.configured), row.configured, values, of, ranks
        )
        for row, of, (values, ranks) in zip(
            one, per_seed, means_and_ranks(per_seed, columns), strict=True
        )
    ]
    return sorted(found, key=lambda row: row.order)


def _means(rows: Sequence[BoardRow], name: str) -> BySeed:
    """By seed, the mean over boards; undefined with the first reason where one has no value."""
    assert name not in EFFICIENCY  # whose means are geometric
    seeds = sorted({seed for row in rows for seed in row.seeds})
    return {seed: mean_of(_value(row, name, seed) for row in rows) for seed in seeds}


def _value(row: BoardRow, name: str, seed: int) -> float | Undefined:
    return row.per_seed[name].get(seed, Undefined("there is no run with this seed on one stream"))
