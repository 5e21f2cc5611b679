"""Learners over several boards of one model, which all that are ranked were run on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from cl_bench.analysis.entries import EFFICIENCY
from cl_bench.analysis.learner_settings import Candidate, choose, telling_settings
from cl_bench.analysis.paired import BySeed
from cl_bench.analysis.run_values import Column
from cl_bench.metrics.stats.ranks import Ranks
from cl_bench.metrics.stats.student import Estimate
from cl_bench.metrics.undefined import Undefined, mean_of
from cl_bench.report.blocks.look import learner_label
from cl_bench.report.board import Board, BoardRow, Overall, RankedRow, titles
from cl_bench.report.rows import FOLDED, choice_of, estimate, means_and_ranks

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
_NOT_ALL = "not all of these learners have a value on it with the setting that stands here"
_ANOTHER = "another board stands for its stream"
_Key = tuple[str, str]
"""Learner and settings, as `RankedRow.key`."""
_ByBoard = Mapping[int, Mapping[_Key, BoardRow]]
"""By the place of a board, then by learner and settings, the rows that have a value."""


def overall(boards: Sequence[Board]) -> list[Overall]:
    """One for every model that has boards of at least two streams.

    Of several boards of one stream the one that compares most learners counts, or the first.
    """
    places: dict[str, dict[tuple[str, str], list[int]]] = {}
    for place, board in enumerate(boards):
        of_stream = places.setdefault(board.key.model, {})
        of_stream.setdefault((board.key.stream, board.key.version), []).append(place)
    named = titles(boards)
    found = []
    for by_stream in places.values():
        largest = sorted(
            max(of_stream, key=lambda place: len(_with_value(boards[place])))
            for of_stream in by_stream.values()
        )
        others = sorted({place for them in by_stream.values() for place in them} - {*largest})
        notes = [f"{named[place]} is left out: {_ANOTHER}" for place in others[:_MOST_NOTES]]
        if len(largest) > 1:
            found.append(_overall(boards, largest, named, notes))
    return found


def _overall(
    boards: Sequence[Board], places: Sequence[int], named: Sequence[str], others: Sequence[str]
) -> Overall:
    """Ranked are the learners, each with one setting, that no other surpasses in boards where they
    have a value, on the boards that all of these have; none, if they are fewer than half of all."""
    known = {place: _with_value(boards[place]) for place in places}
    having = {
        place: rows for place, rows in known.items() if len({learner for learner, _ in rows}) > 1
    }
    stands = _one_each(having, boards[places[0]].key.model_name)
    counts = {key: sum(key in rows for rows in having.values()) for key in stands}
    most = max(counts.values(), default=0)
    ranked = sorted(key for key in counts if counts[key] == most)
    shared = [place for place, rows in having.items() if all(key in rows for key in ranked)]
    chosen = shared if len(shared) > 1 and 2 * len(ranked) >= len(stands) else []
    notes = _left_out(having, [key for key in counts if counts[key] < most], places, named)
    notes += others
    if chosen:
        apart = [named[place] for place in having if place not in chosen]
        notes += [f"{name} is left out: {_NOT_ALL}" for name in apart[:_MOST_NOTES]]
    if not chosen:
        some = "No" if len(shared) < 2 else f"Only {len(ranked)} of {len(stands)}"
        notes = [f"{some} learners were run on the same two streams, so none are ranked", *notes]
    columns = {name: boards[places[0]].columns[name] for name in AVERAGED}
    averaged = {place: having[place] for place in chosen}
    found = _rows(averaged, [*having.values()], ranked, columns, stands) if chosen else []
    if (more := len(found) - _MOST_NOTES) > 0:
        notes.insert(0, f"Shown are the best {_MOST_NOTES} rows; {more:,} more were run on all")
        found = found[:_MOST_NOTES]
    notes[:0] = _seeds_note(averaged, ranked)
    model = boards[places[0]].model
    return Overall(model, tuple(chosen), len(places), columns, tuple(found), tuple(notes))


def _seeds_note(having: _ByBoard, ranked: Sequence[_Key]) -> list[str]:
    """A note if means leave out seeds that some board has: they are over those that all have."""
    cut: dict[tuple[str, str], list[str]] = {}
    for key in ranked:
        boards = Counter(seed for rows in having.values() for seed in _done(rows[key]))
        left = [seed for seed, count in boards.items() if count < len(having)]
        if left:
            seeds = (_numbers({*boards} - {*left}), _numbers(left))
            cut.setdefault(seeds, []).append(learner_label(key[0]))
    alike = len(cut) == 1 and len(*cut.values()) == len(ranked)
    said = [
        f"{'' if alike else ' and '.join(who) + ': '}{kept}, without {left}"
        for (kept, left), who in cut.items()
    ]
    note = f"A mean is over the seeds that a learner has on every stream ({'; '.join(said)})"
    return [note] if said else []


def _done(row: BoardRow) -> set[int]:
    return {seed for seed, status in row.status.items() if status == "done"}


def _numbers(seeds: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(seeds))) or "none"


def _one_each(having: _ByBoard, model: str) -> dict[_Key, str]:
    """The setting that stands for each learner, and what its row says of that: the one on most
    boards, and then as on a single board."""
    rows: dict[str, dict[_Key, list[BoardRow]]] = {}
    for of_board in having.values():
        for key, row in of_board.items():
            rows.setdefault(row.learner, {}).setdefault(key, []).append(row)
    stands = {}
    for learner, by_key in rows.items():
        candidates = [
            Candidate(learner, of[0].configured, (len(of), sum(map(_seeds, of))), _accuracy(of))
            for of in by_key.values()
        ]
        place, why = choose(candidates, model, most="run on more streams")
        stands[list(by_key)[place]] = choice_of(len(by_key), why)
    return stands


def _seeds(row: BoardRow) -> int:
    return len(_done(row))


def _accuracy(rows: Iterable[BoardRow]) -> float:
    """The mean over the boards that it was run on."""
    values = [row.values["average_accuracy"] for row in rows]
    return fmean(value.value for value in values if not isinstance(value, Undefined))


def _left_out(
    having: _ByBoard, unranked: Iterable[_Key], places: Iterable[int], named: Sequence[str]
) -> list[str]:
    """Why learners are not ranked and boards are not averaged, a line each; of very many the
    first."""
    ordered = sorted(unranked)
    notes = [_not_ranked(key, having, named) for key in ordered[:_MOST_NOTES]]
    if (more := len(ordered) - _MOST_NOTES) > 0:
        notes.append(f"{more:,} more learners are not ranked: they lack a value on some stream")
    apart = [named[place] for place in places if place not in having]
    notes += [f"{name} is left out: {_ALONE}" for name in apart[:_MOST_NOTES]]
    if (more := len(apart) - _MOST_NOTES) > 0:
        notes.append(f"{more:,} more boards are left out: {_ALONE}")
    return notes


def _not_ranked(key: _Key, having: _ByBoard, named: Sequence[str]) -> str:
    """Why a learner is not ranked."""
    lacking: list[str] = []
    otherwise: list[str] = []
    for place, rows in having.items():
        if key not in rows:
            other = any(learner == key[0] for learner, _ in rows)
            (otherwise if other else lacking).append(named[place])
    why = [f"it has no value on {_few(lacking)}"] if lacking else []
    why += [f"it was run with another setting on {_few(otherwise)}"] if otherwise else []
    return f"{learner_label(key[0])} is not ranked: {' and '.join(why)}"


def _few(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return "; ".join([*names[:_NAMED], *([f"and {more:,} more"] if more > 0 else [])])


def _with_value(board: Board) -> dict[_Key, BoardRow]:
    return {
        row.key: row
        for row in board.every_row
        if not isinstance(row.values["average_accuracy"], Undefined)
    }


def _rows(
    having: _ByBoard,
    known: Sequence[Mapping[_Key, BoardRow]],
    ranked: Sequence[_Key],
    columns: Mapping[str, Column],
    choices: Mapping[_Key, str],
) -> list[RankedRow]:
    """The ranked learners, and under them their other settings that were run on all of `having`;
    `known` are the rows of all boards, which tell a learner's settings apart."""
    first, *more = having.values()
    everywhere = {key: row for key, row in first.items() if all(key in rows for rows in more)}
    others = [key for key in everywhere if key not in ranked]
    every = {key: row for rows in known for key, row in rows.items()}
    telling = telling_settings((row.learner, row.configured) for row in every.values())
    per_seed = {
        key: {name: _means([rows[key] for rows in having.values()], name) for name in columns}
        for key in everywhere
    }

    def row(
        key: _Key,
        values: Mapping[str, Estimate | Undefined],
        ranks: Mapping[str, Ranks | Undefined],
        folded: Iterable[RankedRow] = (),
    ) -> RankedRow:
        learner, configured = everywhere[key].learner, everywhere[key].configured
        told = telling[learner](configured)
        choice = "" if key in others else choices[key]
        below = tuple(sorted(folded, key=lambda row: row.order))
        return RankedRow(learner, told, configured, values, per_seed[key], ranks, choice, below)

    folded: dict[str, list[RankedRow]] = {}
    unranked: Mapping[str, Ranks | Undefined] = dict.fromkeys(columns, FOLDED)
    for key in others:
        values = {name: estimate(name, per_seed[key][name]) for name in columns}
        folded.setdefault(key[0], []).append(row(key, values, unranked))
    numbers = means_and_ranks([per_seed[key] for key in ranked], columns)
    found = [
        row(key, *both, folded.get(key[0], ())) for key, both in zip(ranked, numbers, strict=True)
    ]
    return sorted(found, key=lambda row: row.order)


def _means(rows: Sequence[BoardRow], name: str) -> BySeed:
    """By seed, the mean over boards; undefined with the first reason where one has no value."""
    assert name not in EFFICIENCY  # whose means are geometric
    seeds = sorted({seed for row in rows for seed in row.seeds})
    return {seed: mean_of(_value(row, name, seed) for row in rows) for seed in seeds}


def _value(row: BoardRow, name: str, seed: int) -> float | Undefined:
    return row.per_seed[name].get(seed, Undefined("there is no run with this seed on one stream"))
