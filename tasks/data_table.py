"""Rows of cells, as every kind of file gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cl_bench.contract.text import printable


class NumberText(str):
    """A number as it was written; tells `42` from `"42"`."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One row: where it stands in the file, and its cells by column."""

    number: int
    cells: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a file, in order."""

    path: Path
    unit: str
    """What the rows' numbers count: line, item or row."""
    rows: list[Row]
    columns: tuple[str, ...]

    def place(self, number: int) -> str:
        """`line 7 of my.jsonl`."""
        return f"{self.unit} {number} of {shown(self.path)}"


def shown(path: Path) -> str:
    """A path in a message."""
    return printable(str(path), 200)


def kind_of(value: Any) -> str:
    """What a cell holds, for a message."""
    if value is None:
        return "empty"
    kinds: tuple[tuple[type, str], ...] = (
        (NumberText, "a number"),
        (str, "a text"),
        (bool, "a truth value"),
        (list, "a list"),
        (dict, "an object"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), "binary data")
