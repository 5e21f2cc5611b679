"""Numbers of reports as people read them, by the unit of their column."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cl_bench.analysis.columns import Column
from cl_bench.metrics.stats.bootstrap import Estimate
from cl_bench.metrics.undefined import Undefined

NOTHING = "—"
"""Stands where a value is undefined."""
_ZERO = set("0.:")
"""Characters of what is nothing after rounding, and has no sign then."""


def clock(seconds: float) -> str:
    """Wall time in little room: `0:52`, `8:04`, `1:05:03`, hours, minutes and seconds."""
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{left:02d}" if hours else f"{minutes}:{left:02d}"


_SHOWN: Mapping[str, Callable[[float], str]] = {
    "share": "{:.3f}".format,
    "nats/token": "{:.4f}".format,
    "ratio": "{:.2f}".format,
    "rollouts": "{:,.0f}".format,
    "tokens": "{:,.0f}".format,
    "seconds": clock,
}


def shown(value: float, column: Column, *, signed: bool = False) -> str:
    """A value in its unit: `0.812`, `1,820`, `3:12`; with its sign, if that is asked for."""
    text = _SHOWN.get(column.unit, "{:.4g}".format)(abs(value))
    if value < 0 and not set(text) <= _ZERO:
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
