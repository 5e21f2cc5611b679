"""Checks of the gate in words."""

from __future__ import annotations

from cl_bench.gate.outcome import Check, GateReport
from cl_bench.metrics.undefined import Undefined

COLUMNS = ("check", "reference", "candidate", "difference", "interval", "tolerance", "verdict")


def cells(check: Check) -> tuple[str, ...]:
    """A check's row under `COLUMNS`; empty where there is no number."""
    quantity, change = check.quantity, check.quantity.change
    numbers = ((quantity, check.reference), (quantity, check.candidate), (change, check.difference))
    return (
        check.name,
        *("" if isinstance(number, Undefined) else of.text(number) for of, number in numbers),
        change.interval(check.interval),
        "" if check.tolerance is None else quantity.distance.text(check.tolerance),
        check.verdict,
    )


def sentence(check: Check) -> str:
    """A check on one line: what was seen and why it came to its verdict."""
    name, reference, candidate, difference, interval, tolerance, _ = cells(check)
    if isinstance(check.difference, Undefined):
        return f"{check.case}: {name}: {check.reason}"
    numbers = f"{candidate} against {reference}, difference {difference} {interval}".rstrip()
    if tolerance:
        numbers += f", tolerance {tolerance}"
    return f"{check.case}: {name}: {numbers}: {check.reason}"


def conclusion(report: GateReport) -> str:
    """The verdict over all checks, on one line."""
    counts = report.counts
    parts = [f"{counts[verdict]} {verdict}" for verdict in counts if counts[verdict]]
    return f"{report.verdict.upper()}: {len(report.checks)} checks, {', '.join(parts)}"
