"""Which rows of a published set can be asked and judged.

A user mends a file of his own. Of somebody else's set, rows that the verifier cannot judge by, or
that contradict others, are left out and counted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace

from cl_bench.contract.errors import UsageError
from cl_bench.contract.task import SPLITS

from .columns import DataItem, Reading
from .verifiers import Verifier

_LEAST = 0.5
"""Share of the rows that have to be usable."""


def usable(reading: Reading, verifier: Verifier) -> tuple[Reading, list[str]]:
    """The rows that can be used, each question once, and notes of how many others there were.

    Of rows in two splits the one that is tested stays.
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
    if len(kept) < _LEAST * len(reading.items):
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


def digest(items: Sequence[DataItem]) -> bytes:
    """A hash of all that the items say."""
    digest = hashlib.sha256()
    for item in items:
        said = (item.prompt, item.answer, item.feedback, item.split, item.solution)
        digest.update(json.dumps(said).encode() + b"\n")
    return digest.digest()
