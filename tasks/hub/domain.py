"""Data sets of the Hugging Face hub as domains: `hub/gsm8k`, `hub/hover?hops=3`.

Those of the table have a name; `hub/ORG/NAME?prompt=question&answer=label` is any other one, read
as a user's file is. A domain's version is a hash of the rows that it uses.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import replace

from cl_bench.contract.errors import UsageError
from cl_bench.contract.task import SPLITS
from cl_bench.contract.text import one_line

from ..data.columns import COLUMNS, DataItem, Reading, read_items
from ..data.domain import DataDomain, Origin, chosen, data_domain
from ..data.reading import SPLIT_KEY, DataRow, DataTable, columns_of
from ..data.verifiers import Verifier
from .name import READ_AS, Asked, known, parse
from .rows import MIRROR, place_of, rows_of
from .table import SETS

__all__ = ["NAMES", "known", "load"]

NAMES = tuple(f"hub/{name}" for name in SETS)
_LEAST_USABLE = 0.5
"""Share of the rows that the verifier has to be able to judge by."""
_loaded: dict[tuple[str, str], DataDomain] = {}


def load(name: str) -> DataDomain:
    """The domain of a data set; whatever is wrong with it is a `UsageError`."""
    mirror = os.environ.get(MIRROR, "")
    if (name, mirror) not in _loaded:
        domain = _domain(parse(name))
        for found in {name, domain.reference}:
            _loaded[found, mirror] = domain
    return _loaded[name, mirror]


def _domain(asked: Asked) -> DataDomain:
    entry, options = asked.entry, asked.options
    place = place_of(asked)
    rows = list(rows_of(asked, place))
    table = DataTable(asked.name, "row", rows, columns_of(rows))
    if not rows:
        raise UsageError(f"{asked.name} has no rows that ask a question and answer it.")
    read_as = {k: v for k, v in options.items() if k in (*COLUMNS, *READ_AS)}
    if asked.has_entry:
        read_as = {"prompt": "prompt", "answer": "answer", "verifier": entry.verifier} | read_as
    reading = read_items(table, read_as | {"split": SPLIT_KEY if _has_splits(rows) else ""})
    verifier, why = chosen(read_as, reading)
    usable, notes = _usable(reading, verifier)
    origin = Origin(
        asked.named(),
        asked.named(commit=place.commit),
        f"problems of {entry.path} at {place.commit[:12] or place.path}: {entry.says}",
        one_line(options.get("licence") or entry.licence, 200),
        one_line(options.get("citation") or entry.citation, 2_000),
        _digest(usable.items),
    )
    return data_domain(origin, usable, verifier, why, notes)


def _has_splits(rows: Sequence[DataRow]) -> bool:
    return any(row.cells[SPLIT_KEY] for row in rows)


def _usable(reading: Reading, verifier: Verifier) -> tuple[Reading, list[str]]:
    """The rows without those that cannot be asked, and notes of how many those were.

    A user mends a file of his own; of a published set, rows that the verifier cannot judge by, or
    that contradict others, are left out. Of rows in two splits the one that is tested stays.
    """
    judged = [item for item in reading.items if _is_judged(item, verifier)]
    answers: dict[str, set[str]] = {}
    for item in judged:
        answers.setdefault(item.prompt, set()).add(item.answer)
    agreed = [item for item in judged if len(answers[item.prompt]) == 1]
    kept = _once(agreed)
    notes = [
        f"{count} rows were left out, {why}"
        for count, why in (
            (len(reading.items) - len(judged), "whose answer the verifier cannot judge by"),
            (len(judged) - len(agreed), "which contradict others"),
            (len(agreed) - len(kept), "which repeat others"),
        )
        if count
    ]
    if len(kept) < _LEAST_USABLE * len(reading.items):
        raise UsageError(
            f"Most rows of {reading.table.source} cannot be used: {'; '.join(notes)}. Name another "
            "verifier or column, such as ?verifier=exact."
        )
    return replace(reading, items=kept), notes


def _is_judged(item: DataItem, verifier: Verifier) -> bool:
    try:
        return verifier.judge(item, verifier.solution(item), "none").score >= 1
    except ValueError:
        return False


def _once(items: Sequence[DataItem]) -> list[DataItem]:
    """Each prompt once, in the split that is the most protected: test, validation, train."""
    rank = {split: number for number, split in enumerate((None, *SPLITS))}
    best: dict[str, DataItem] = {}
    for item in items:
        other = best.setdefault(item.prompt, item)
        if rank[item.split] > rank[other.split]:
            best[item.prompt] = item
    return list(best.values())


def _digest(items: Sequence[DataItem]) -> bytes:
    """A hash of all that the items say."""
    digest = hashlib.sha256()
    for item in items:
        said = (item.prompt, item.answer, item.feedback, item.split, item.solution)
        digest.update(json.dumps(said).encode() + b"\n")
    return digest.digest()
