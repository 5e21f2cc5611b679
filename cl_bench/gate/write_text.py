"""A report of the gate for people."""

from __future__ import annotations

from io import StringIO

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from cl_bench.contract.text import printable
from cl_bench.gate.outcome import Check, Coverage, GateReport
from cl_bench.gate.rule import INCONCLUSIVE, PASS, REGRESS
from cl_bench.gate.words import COLUMNS, cells, conclusion
from cl_bench.metrics.quantities import percent

_WIDTH = 120
_STYLES = {PASS: "green", REGRESS: "bold red", INCONCLUSIVE: "yellow"}


def text(report: GateReport) -> str:
    """The report as plain text, at most 120 columns wide."""
    console = Console(file=StringIO(), width=_WIDTH, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(renderable(report))
    return "\n".join(line.rstrip() for line in capture.get().strip().splitlines())


def renderable(report: GateReport) -> Group:
    """The report for a terminal."""
    parts: list[RenderableType] = [
        Text(printable(f"{report.candidate} against {report.reference}")),
        Text(printable(f"policy: {report.policy}; intervals of {percent(report.level)}")),
    ]
    for coverage in report.coverage:
        parts += _case(coverage, [c for c in report.checks if c.case == coverage.case])
    if report.remarks:
        parts += [Text("\nNotes", style="bold")]
        parts += [Text(f"  {printable(note)}") for note in report.remarks]
    return Group(*parts, Text(f"\n{conclusion(report)}", style=_STYLES[report.verdict]))


def _case(coverage: Coverage, checks: list[Check]) -> list[RenderableType]:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="", show_edge=False)
    for place, column in enumerate(COLUMNS):
        last = place == len(COLUMNS) - 1
        table.add_column(
            column, justify="left" if place == 0 or last else "right", no_wrap=not place
        )
    for check in checks:
        *numbers, verdict = cells(check)
        table.add_row(*map(printable, numbers), Text(verdict, style=_STYLES[check.verdict]))
    reasons = [
        Text(f"  {check.verdict}: {printable(check.name)}: {printable(check.reason)}")
        for check in checks
        if check.verdict != PASS
    ]
    return [Text(f"\n{printable(str(coverage))}", style="bold"), table, *reasons]
