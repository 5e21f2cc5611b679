"""A report of the gate for people, and the words that every form of it has."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from cl_bench.contract.text import counted, printable
from cl_bench.gate.outcome import INCONCLUSIVE, PASS, REGRESS, Check, Coverage, GateReport
from cl_bench.metrics.quantities import percent
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.terminal import heading, plain_text, table

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
    return f"{report.verdict.upper()}: {counted(len(report.checks), 'check')}, {', '.join(parts)}"


_STYLES = {PASS: "green", REGRESS: "bold red", INCONCLUSIVE: "yellow"}


def text(report: GateReport) -> str:
    """The report as plain text, at most 120 columns wide."""
    return plain_text(renderable(report), width=120)


def renderable(report: GateReport) -> Group:
    """The report for a terminal."""
    parts: list[RenderableType] = [
        Text(printable(f"{report.candidate} against {report.reference}")),
        Text(printable(f"policy: {report.policy}; intervals of {percent(report.level)}")),
    ]
    for coverage, checks in report.cases:
        parts += _case(coverage, checks)
    if report.remarks:
        parts += [heading("Notes")]
        parts += [Text(f"  {printable(note)}") for note in report.remarks]
    return Group(*parts, Text(f"\n{conclusion(report)}", style=_STYLES[report.verdict]))


def _case(coverage: Coverage, checks: list[Check]) -> list[RenderableType]:
    shown = table(*COLUMNS, collapse_padding=True)
    shown.columns[-1].justify = "left"
    for check in checks:
        *numbers, verdict = cells(check)
        shown.add_row(*map(printable, numbers), Text(verdict, style=_STYLES[check.verdict]))
    reasons = [
        Text(f"  {check.verdict}: {printable(check.name)}: {printable(check.reason)}")
        for check in checks
        if check.verdict != PASS
    ]
    return [heading(printable(str(coverage))), shown, *reasons]
