"""Numbers and checks of the gate in words."""

from __future__ import annotations

from cl_bench.gate.outcome import Check, Report
from cl_bench.metrics.stats.bootstrap import Interval
from cl_bench.metrics.undefined import Undefined

COLUMNS = ("check", "reference", "candidate", "difference", "interval", "tolerance", "verdict")
_WHOLE = ("rollouts", "tokens")


def cells(check: Check) -> tuple[str, ...]:
    """A check's row under `COLUMNS`."""
    unit = check.unit
    tolerance = "" if check.tolerance is None else number(check.tolerance, unit)
    return (
        check.name,
        value(check.reference, unit),
        value(check.candidate, unit),
        value(check.difference, unit, sign=True),
        _interval(check.interval, unit),
        tolerance,
        check.verdict,
    )


def sentence(check: Check) -> str:
    """A check on one line: what was seen and why it came to its verdict."""
    if isinstance(check.difference, Undefined):
        return f"{check.case}: {check.name}: {check.reason}"
    numbers = (
        f"{value(check.candidate, check.unit)} against {value(check.reference, check.unit)} "
        f"{check.unit}, difference {value(check.difference, check.unit, sign=True)}"
    )
    if isinstance(check.interval, Interval):
        numbers += f" {_interval(check.interval, check.unit)}"
    if check.tolerance is not None:
        numbers += f", tolerance {number(check.tolerance, check.unit)}"
    return f"{check.case}: {check.name}: {numbers}: {check.reason}"


def conclusion(report: Report) -> str:
    """The verdict over all checks, on one line."""
    counts = report.counts
    parts = [f"{counts[verdict]} {verdict}" for verdict in counts if counts[verdict]]
    return f"{report.verdict.upper()}: {len(report.checks)} checks, {', '.join(parts)}"


def value(given: float | Undefined, unit: str, *, sign: bool = False) -> str:
    """A number of that unit; nothing where there is none."""
    return "" if isinstance(given, Undefined) else number(given, unit, sign=sign)


def number(given: float, unit: str, *, sign: bool = False) -> str:
    """Counts without decimals, seconds with one, anything else with three."""
    decimals = 0 if unit in _WHOLE else 1 if unit == "seconds" else 3
    return f"{given:{'+' if sign else ''},.{decimals}f}"


def _interval(interval: Interval | Undefined, unit: str) -> str:
    if isinstance(interval, Undefined):
        return ""
    low, high = (number(end, unit, sign=True) for end in (interval.low, interval.high))
    return f"[{low}, {high}]"
