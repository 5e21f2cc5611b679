"""Single values: what may stand in a column, and that no row stands twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from cl_bench.store.schema import REAL, TABLES, TEXT, allowed_values
from cl_bench.verify.case import KEYS, Case

if TYPE_CHECKING:
    import pandas as pd

_SIGNED = {"loss", "parent_id"}
"""Columns that may be negative."""
_ROUNDING = {"entropy": 1e-6}
"""By column, how far below 0 rounding may lead."""
_MISSING = {"prompts": {"score"}, "steps": {f.name for f in TABLES["steps"] if f.type == REAL}}
"""Columns in which NaN means that there is no such quantity."""


def values(case: Case) -> None:
    """Every column of every table: names, bounds, numbers that are none."""
    for table, frame in case.tables.items():
        for field in TABLES[table]:
            if field.name in frame:
                _column(case, table, field, frame[field.name])


def uniqueness(case: Case) -> None:
    """No row stands twice."""
    for table, frame in case.tables.items():
        keys = [key for key in KEYS[table] if key in frame]
        rows = frame
        if table == "ledger" and case.status == "diverged":
            rows = frame.iloc[:-2]  # a stretch that diverged at once ends at the same step
        if "sample" in keys:
            rows = rows[rows["sample"].notna()]  # of responses whose number was not kept
        if keys:
            doubled = rows.duplicated(keys).reindex(frame.index, fill_value=False)
            case.rows(table, doubled, "the same row stands twice")


def _column(case: Case, table: str, field: pa.Field, column: pd.Series) -> None:
    if field.type == TEXT:
        choices = allowed_values(field)
        if choices:
            wrong = ~column.isin(choices) & column.notna()
            case.rows(table, wrong, f"{field.name} is none of {', '.join(choices)}")
        return
    numbers = column.astype(np.float64)
    case.rows(table, _no_number(table, field, numbers), f"{field.name} is no number")
    infinite = np.isinf(numbers) & (case.status != "diverged" or table != "steps")
    case.rows(table, infinite, f"{field.name} is infinite")
    if field.name not in _SIGNED:
        low = numbers < -_ROUNDING.get(field.name, 0.0)
        case.rows(table, low, lambda row: f"{field.name} is {row[field.name]:g}, below 0")
    if field.metadata[b"unit"] == b"0 or 1":
        other = numbers.notna() & ~numbers.isin([0, 1])
        case.rows(table, other, lambda row: f"{field.name} is {row[field.name]:g}, not 0 or 1")
    if field.metadata[b"unit"] == b"share":
        high = numbers > 1
        case.rows(table, high, lambda row: f"{field.name} is {row[field.name]:g}, above 1")


def _no_number(table: str, field: pa.Field, numbers: pd.Series) -> pd.Series:
    may_miss = field.nullable or field.name in _MISSING.get(table, ())
    return numbers.isna() & (not may_miss)
