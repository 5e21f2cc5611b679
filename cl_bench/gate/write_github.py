"""A report of the gate where GitHub runs it: annotations, and a summary of the step.

A line of a step's output that begins with `::` is a command to the runner, and names and reasons
come from runs that others made: what is printed there is escaped or fenced.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from cl_bench.contract.text import printable
from cl_bench.gate.outcome import INCONCLUSIVE, PASS, REGRESS, Check, Coverage, GateReport
from cl_bench.gate.write_text import COLUMNS, cells, conclusion, sentence
from cl_bench.metrics.quantities import percent
from cl_bench.report.blocks.write_markdown import escaped

MOST = 10
"""Annotations of one kind that GitHub shows for a step."""
_COMMANDS = {REGRESS: "error", INCONCLUSIVE: "warning"}
_SIGNS = {PASS: "✅", REGRESS: "❌", INCONCLUSIVE: "❔"}


def on_github(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process is a step of a GitHub workflow."""
    return environment.get("GITHUB_ACTIONS") == "true"


def annotation_lines(report: GateReport) -> list[str]:
    """A command for each check that does not pass; one notice if all do."""
    lines = []
    for verdict, command in _COMMANDS.items():
        found = [check for check in report.checks if check.verdict == verdict]
        lines += [_annotation(command, verdict, line) for line in _sentences(found)]
    return lines or [_annotation("notice", PASS, conclusion(report))]


def annotation_of_error(message: str) -> str:
    """The command for an error because of which there is no report."""
    return _annotation("error", "error", message)


def fenced(text: str) -> str:
    """A text that the runner prints and does not obey."""
    token = secrets.token_hex(16)
    return f"::stop-commands::{token}\n{text}\n::{token}::"


def summary(report: GateReport) -> str:
    """The report as Markdown, for the summary of the step."""
    beside = f"{escaped(report.candidate)} against {escaped(report.reference)}"
    under = f"policy {escaped(report.policy)}, intervals of {percent(report.level)}"
    title = f"## {_SIGNS[report.verdict]} cl-bench check: {report.verdict}"
    lines = [title, "", f"{beside}, {under}."]
    for coverage, checks in report.cases:
        lines += _case(coverage, checks)
    lines += ["", *(f"- {escaped(note)}" for note in report.remarks)]
    return "\n".join([*lines, f"**{escaped(conclusion(report))}**", ""])


def summary_of_error(message: str) -> str:
    """The same where there is no report."""
    return f"## ❌ cl-bench check: error\n\n{escaped(message)}\n"


def append_summary(markdown: str, environment: Mapping[str, str] = os.environ) -> None:
    """Add to the summary of the step, if it has one."""
    place = environment.get("GITHUB_STEP_SUMMARY")
    if place:
        with Path(place).open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(markdown + "\n")


def _sentences(checks: Sequence[Check]) -> list[str]:
    lines = [sentence(check) for check in checks]
    if len(lines) <= MOST:
        return lines
    return [*lines[: MOST - 1], f"and {len(lines) - MOST + 1} more; the log has all of them"]


def _annotation(command: str, kind: str, message: str) -> str:
    title = _escape(f"cl-bench check: {kind}", ":,")
    return f"::{command} title={title}::{_escape(printable(message))}"


def _escape(text: str, more: str = "") -> str:
    """As GitHub decodes it: % first, line ends, and in properties the characters that end them."""
    for character in f"%\r\n{more}":
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def _case(coverage: Coverage, checks: Sequence[Check]) -> list[str]:
    lines = ["", f"### {escaped(str(coverage))}", "", f"| {' | '.join(COLUMNS)} |"]
    lines.append("|---|" + "---:|" * (len(COLUMNS) - 2) + "---|")
    for check in checks:
        *numbers, verdict = map(escaped, cells(check))
        lines.append(f"| {' | '.join([*numbers, f'{_SIGNS[check.verdict]} {verdict}'])} |")
    reasons = [
        f"- {check.verdict}: {escaped(sentence(check))}"
        for check in checks
        if check.verdict != PASS
    ]
    return [*lines, "", *reasons] if reasons else lines
