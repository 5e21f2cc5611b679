"""A report of the gate for machines: strict JSON, described by report.schema.json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from cl_bench.gate.outcome import Check, GateReport
from cl_bench.metrics.stats.bootstrap import Interval
from cl_bench.metrics.undefined import Undefined

FORMAT = 1
"""Counts up whenever an entry changes its name or meaning."""
_VALUES = ("reference", "candidate", "difference", "interval")


def schema_text() -> str:
    """The JSON schema of what `data` and `failure` give."""
    return files("cl_bench.gate").joinpath("report.schema.json").read_text(encoding="utf-8")


def data(report: GateReport) -> dict[str, Any]:
    """The report; what is undefined is null, with its reason in `undefined`."""
    return {
        "format": FORMAT,
        "cl_bench": version("cl-bench"),
        "verdict": report.verdict,
        "exit_code": report.exit_code,
        "candidate": report.candidate,
        "reference": report.reference,
        "policy": {
            "source": report.policy,
            "sha256": report.policy_sha256,
            "level": report.level,
        },
        "cases": [
            {
                "learner": coverage.case.learner,
                "stream": coverage.case.stream,
                "seeds": list(coverage.compared),
                "of_seeds": coverage.of_seeds,
                "identical": coverage.identical,
            }
            for coverage in report.coverage
        ],
        "checks": [_check(check) for check in report.checks],
        "skipped": [
            {
                "learner": each.case.learner,
                "stream": each.case.stream,
                "name": each.name,
                "reason": each.reason,
            }
            for each in report.skipped
        ],
        "notes": list(report.remarks),
    }


def failure(message: str, differences: Sequence[str] = ()) -> dict[str, Any]:
    """What is said where no report can be made: an error, and how the runs differ, if they do."""
    return {
        "format": FORMAT,
        "cl_bench": version("cl-bench"),
        "verdict": "error",
        "exit_code": 2,
        "error": message,
        "differences": list(differences),
    }


def _check(check: Check) -> dict[str, Any]:
    values = {name: getattr(check, name) for name in _VALUES}
    undefined = {n: value.reason for n, value in values.items() if isinstance(value, Undefined)}
    needed = check.needed
    return {
        "learner": check.case.learner,
        "stream": check.case.stream,
        "name": check.name,
        "verdict": check.verdict,
        "reason": check.reason,
        "unit": check.quantity.unit,
        "better": check.better,
        **{name: _plain(value) for name, value in values.items()},
        "tolerance": check.tolerance,
        "undefined": undefined,
        "needed": {"count": needed, "unit": check.needed_unit} if isinstance(needed, int) else None,
    }


def _plain(value: float | Interval | Undefined) -> Any:
    if isinstance(value, Undefined):
        return None
    return asdict(value) if isinstance(value, Interval) else value
