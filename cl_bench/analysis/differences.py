"""Whether two runs hold the same numbers, and where they differ if not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pandas as pd

TABLES = ("evaluations", "items", "steps", "prompts", "ledger", "transcripts")
"""The tables of a run's numbers; `timing`, and the columns of seconds, are a machine's."""
_CLOCK = "seconds"


class HasTables(Protocol):
    """A run directory, a run of the API or a packed run."""

    def table(self, name: str) -> pd.DataFrame: ...


def differences(one: HasTables, other: HasTables) -> list[str]:
    """A line for every column in which the tables of two runs differ; empty when all are equal."""
    return [
        f"{name}.{line}"
        for name in TABLES
        for line in _differing_columns(one.table(name), other.table(name))
    ]


def _differing_columns(one: pd.DataFrame, other: pd.DataFrame) -> list[str]:
    if len(one) != len(other):
        return [f"*: {len(one)} and {len(other)} rows"]
    columns = [column for column in one.columns if column != _CLOCK]
    return [
        f"{column}: {_describe(one[column], other[column])}"
        for column in columns
        if not one[column].equals(other[column])
    ]


def _describe(one: pd.Series, other: pd.Series) -> str:
    unequal = (one != other) & ~(one.isna() & other.isna())
    first = unequal.idxmax()
    shown = repr if one.dtype.kind == "O" else str
    pair = f"{shown(one[first])} and {shown(other[first])}"
    text = f"{int(unequal.sum())} of {len(one)} rows, first {pair}"
    if one.dtype.kind in "if":
        text += f", at most {float((one - other).abs().max()):.3g} apart"
    return text
