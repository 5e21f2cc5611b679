"""Which problem belongs to which split, and in what order a seed meets them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from cl_bench.contract.errors import UsageError
from cl_bench.contract.task import SPLITS, Split, content_hash, split_of
from cl_bench.contract.text import one_line

from .columns import DataItem, Reading
from .reading import DataTable

FEWEST = 10
"""Different problems that a file must have."""
_FEWEST_IN_SPLIT = 2
"""With a single one, all seeds would measure the same."""

Splits = Mapping[Split, Sequence[DataItem]]


def split_up(reading: Reading) -> tuple[Splits, list[str]]:
    """The problems of each split, every text in one split only, and what is to be said of it.

    A column of splits is obeyed. Without one, and for the splits that it lacks, the hash of a
    problem's text decides. Rows that say the same are one problem; rows that contradict each other
    or stand in two splits are a `UsageError`.
    """
    table = reading.table
    items, merged = _merged(table, reading.items)
    notes = [f"{merged} rows that repeat others were left out"] if merged else []
    if len(items) < FEWEST:
        raise UsageError(
            f"{table.source} has {len(items)} different problems; at least {FEWEST} are "
            "needed, to train on some and to test on others."
        )
    given = tuple(split for split in SPLITS if any(item.split == split for item in items))
    splits: dict[Split, list[DataItem]] = {split: [] for split in SPLITS}
    for item in items:
        splits[_place(item, given)].append(item)
    if given:
        _require_given(table, splits, given)
        lacking = [split for split in SPLITS if split not in given]
        if lacking:
            notes.append(f"problems for {' and '.join(lacking)} were taken from train by hash")
    _fill(splits, given)
    return splits, notes


def _place(item: DataItem, given: Sequence[Split]) -> Split:
    """The split of a problem, where only the splits in `given` have problems of their own."""
    hashed = split_of(item.prompt)
    if item.split is None:
        return hashed
    return hashed if item.split == "train" and hashed not in given else item.split


def _merged(table: DataTable, items: Sequence[DataItem]) -> tuple[list[DataItem], int]:
    """Each prompt once, in the order of the file, and how many rows repeated one."""
    first: dict[str, DataItem] = {}
    shared: list[tuple[DataItem, DataItem]] = []
    for item in items:
        other = first.setdefault(item.prompt, item)
        if other.answer != item.answer:
            raise UsageError(
                f"The same prompt has different answers in {table.place(other.number)} and "
                f"{table.unit} {item.number}: {one_line(other.answer, 40)!r} and "
                f"{one_line(item.answer, 40)!r}. Keep one of the two rows."
            )
        if other.split != item.split:
            shared.append((other, item))
    if shared:
        one, two = shared[0]
        raise UsageError(
            f"{len(shared)} prompts stand in two splits, so that what is trained on would be "
            f"tested: {one_line(one.prompt, 60)!r} is in {one.split} ({table.place(one.number)}) "
            f"and in {two.split} ({table.unit} {two.number}). Keep each in one split."
        )
    return list(first.values()), len(items) - len(first)


def _require_given(table: DataTable, splits: Splits, given: Sequence[Split]) -> None:
    if "train" not in given:
        raise UsageError(
            f"{table.source} has no rows of the split train, so there is nothing to learn "
            "from. Mark some as train, or add ?split= to its name to split by hash."
        )
    for split in given:
        shares = 1 + len(SPLITS) - len(given) if split == "train" else 1
        needed = _FEWEST_IN_SPLIT * shares
        count = sum(item.split == split for items in splits.values() for item in items)
        if count < needed:
            raise UsageError(
                f"The split {split} of {table.source} has {count} different problems; at "
                f"least {needed} are needed. Mark more rows as {split}, or add ?split= to its "
                "name to split by hash."
            )


def _fill(splits: dict[Split, list[DataItem]], given: Sequence[Split]) -> None:
    """Give splits that chance left (almost) empty problems of train, or of the largest split.

    Which ones move is decided by their hashes, so that a file is always split alike.
    """
    for split in SPLITS:
        while len(splits[split]) < _FEWEST_IN_SPLIT:
            own = [name for name in SPLITS if name == "train" or name not in given]
            largest = max(own, key=lambda name: len(splits[name]))
            moved = min(splits[largest], key=lambda item: content_hash(item.prompt))
            splits[largest].remove(moved)
            splits[split].append(moved)


def order(items: Sequence[DataItem], split: Split, seed: int, epoch: int) -> list[DataItem]:
    """All `items` in the order in which `seed` meets them the `epoch`-th time."""

    def key(item: DataItem) -> bytes:
        text = f"{split}\x1f{seed}\x1f{epoch}\x1f{item.prompt}"
        return hashlib.sha256(text.encode()).digest()

    return sorted(items, key=key)
