"""Single values: what may stand in a column, and that no row stands twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from cl_bench.store.schema import REAL, TABLES, TEXT, allowed_values
from cl_bench.verify.checked_run import KEYS, ROW, CheckedRun
from cl_bench.verify.divergence import MEASURED

if TYPE_CHECKING:
    import pandas as pd

_SIGNED = {"loss", "parent_id"}
"""Columns that may be negative."""
_ROUNDING = {"entropy": 1e-6}
"""By column, how far below 0 rounding may lead."""
_OF_A_RUN = ("sample", "completion_tokens")
_OF_AN_EVALUATION = ("truncated", "thought_tokens")
_MISSING = {"prompts": {"score"}, "steps": {f.name for f in TABLES["steps"] if f.type == REAL}}
"""Columns in which NaN means that there is no such quantity."""


def values(run: CheckedRun) -> None:
    """Every column of every table: names, bounds, numbers that are none."""
    for table, frame in run.tables.items():
        for field in TABLES[table]:
            if field.type == TEXT:
                _names(run, table, field, frame[field.name])
            else:
                _numbers(run, table, field, frame[field.name].astype(np.float64))


def _names(run: CheckedRun, table: str, field: pa.Field, column: pd.Series) -> None:
    if choices := allowed_values(field):
        wrong = ~column.isin(choices) & column.notna()
        run.rows(table, wrong, f"{field.name} is none of {', '.join(choices)}")


def _numbers(run: CheckedRun, table: str, field: pa.Field, column: pd.Series) -> None:
    name, unit = field.name, field.metadata[b"unit"]
    if not field.nullable and name not in _MISSING.get(table, ()):
        lost = column.isna()
        if table == "evaluations" and name in MEASURED:
            lost &= ~run.unmeasured(run.tables[table])  # `verify.divergence` checks those
        elif table == "evaluations" and name == "completion_tokens":
            lost &= ~run.of_benchmarks(run.tables[table])
        run.rows(table, lost, f"{name} is not a number")
    if run.status != "diverged" or table != "steps":
        run.rows(table, np.isinf(column), f"{name} is infinite")
    if name not in _SIGNED:
        run.rows(table, column < -_ROUNDING.get(name, 0.0), f"{name} is {{}}, below 0", column)
    if unit == b"0 or 1":
        other = column.notna() & ~column.isin([0, 1])
        run.rows(table, other, f"{name} is {{}}, not 0 or 1", column)
    if unit == b"share":
        run.rows(table, column > 1, f"{name} is {{}}, above 1", column)


def completeness(run: CheckedRun) -> None:
    """What is known of one response is known of all: of the run, or of their evaluation where a
    run that was resumed by newer code may have begun to note it."""
    items = run.tables["items"]
    own = ~run.of_benchmarks(items)
    for columns, among in ((_OF_A_RUN, own), (_OF_AN_EVALUATION, [items[name] for name in ROW])):
        for name in columns:
            there = items[name].notna() & own
            known = there.groupby(among).transform("any")
            reason = f"{name} is missing, though other responses beside it have theirs"
            run.rows("items", own & known & ~there, reason)


def uniqueness(run: CheckedRun) -> None:
    """No row stands twice."""
    for table, frame in run.tables.items():
        rows, keys = frame, list(KEYS[table])
        if table == "ledger" and run.status == "diverged":
            rows = frame.iloc[:-2]  # a stretch that diverged at once ends at the same step
        if "sample" in keys:
            rows = rows[rows["sample"].notna()]  # of responses whose number was not kept
        if keys:
            run.rows(table, rows.duplicated(keys), "the same row stands twice")
