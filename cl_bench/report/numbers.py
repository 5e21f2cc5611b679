"""Numbers of reports as people read them, by the unit of their column."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cl_bench.metrics.bootstrap import Estimate
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.columns import Column
from cl_bench.text import duration

NOTHING = "—"
"""Stands where a value is undefined."""

_SHOWN: Mapping[str, Callable[[float], str]] = {
    "share": "{:.3f}".format,
    "nats/token": "{:.4f}".format,
    "ratio": "{:.2f}".format,
    "rollouts": "{:,.0f}".format,
    "tokens": "{:,.0f}".format,
    "seconds": duration,
}


def shown(value: float, column: Column, *, signed: bool = False) -> str:
    """A value in its unit: `0.812`, `1,820`, `3 min 12 s`; with its sign, if that is asked for."""
    text = _SHOWN.get(column.unit, "{:.4g}".format)(abs(value))
    if value < 0:
        return f"-{text}"
    return f"+{text}" if signed else text


def mean(value: Estimate | Undefined, column: Column) -> str:
    """The mean alone."""
    return NOTHING if isinstance(value, Undefined) else shown(value.value, column)


def with_interval(value: Estimate | Undefined, column: Column, *, signed: bool = False) -> str:
    """The mean and, if it has one, its interval: `+0.100 [+0.050, +0.150]`."""
    if isinstance(value, Undefined):
        return NOTHING
    middle, ends = shown(value.value, column, signed=signed), value.interval
    if isinstance(ends, Undefined):
        return middle
    low, high = (shown(end, column, signed=signed) for end in (ends.low, ends.high))
    return f"{middle} [{low}, {high}]"
