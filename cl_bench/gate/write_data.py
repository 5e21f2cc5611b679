"""A report of the gate for machines: strict JSON, described by report.schema.json, and JUnit XML
for the dashboards of CI systems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from cl_bench.contract.text import printable
from cl_bench.gate.outcome import INCONCLUSIVE, REGRESS, Check, Coverage, GateReport, Skipped
from cl_bench.gate.write_text import sentence
from cl_bench.metrics.stats.student import Interval
from cl_bench.metrics.undefined import Undefined

FORMAT = 1
"""Counts up whenever an entry changes its name or meaning."""
_VALUES = ("reference", "candidate", "difference", "interval")


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
                **asdict(coverage.case),
                "seeds": list(coverage.compared),
                "of_seeds": coverage.of_seeds,
                "identical": coverage.identical,
            }
            for coverage in report.coverage
        ],
        "checks": [_check(check) for check in report.checks],
        "skipped": [
            {**asdict(each.case), "name": each.name, "reason": each.reason}
            for each in report.skipped
        ],
        "notes": list(report.remarks),
    }


def failure(message: str, differences: Sequence[str] = ()) -> dict[str, Any]:
    """The JSON where no report can be made: an error, and how the runs differ, if they do."""
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
        **asdict(check.case),
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


_TITLE = "cl-bench check"


def junit(report: GateReport) -> bytes:
    """A suite for each learner and stream, a case for each check and for each that was skipped.

    A regression is a failure. What is undecided is an error, because the gate does not let it pass.
    """
    counts = _counts(report.checks, report.skipped)
    root = Element("testsuites", {"name": _TITLE, **counts})
    for coverage, checks in report.cases:
        skipped = [each for each in report.skipped if each.case == coverage.case]
        _suite(root, coverage, checks, skipped)
    return _bytes(root)


def junit_failure(message: str) -> bytes:
    """One case with the error because of which there is no report."""
    counts = {"tests": "1", "failures": "0", "errors": "1", "skipped": "0", "time": "0"}
    root = Element("testsuites", {"name": _TITLE, **counts})
    suite = SubElement(root, "testsuite", {"name": _TITLE, **counts})
    case = SubElement(suite, "testcase", classname=_TITLE, name="comparable", time="0")
    _outcome(case, "error", "error", message)
    return _bytes(root)


def _suite(
    root: Element, coverage: Coverage, checks: Sequence[Check], skipped: Sequence[Skipped]
) -> None:
    name = printable(str(coverage.case))
    suite = SubElement(root, "testsuite", {"name": name, **_counts(checks, skipped)})
    for each in skipped:
        case = _case(suite, name, each.name)
        SubElement(case, "skipped", message=printable(each.reason))
    for check in checks:
        case = _case(suite, name, check.name)
        if check.verdict == REGRESS:
            _outcome(case, "failure", check.verdict, sentence(check))
        elif check.verdict == INCONCLUSIVE:
            _outcome(case, "error", check.verdict, sentence(check))
        else:
            SubElement(case, "system-out").text = printable(sentence(check))


def _case(suite: Element, classname: str, name: str) -> Element:
    return SubElement(suite, "testcase", classname=classname, name=printable(name), time="0")


def _outcome(case: Element, tag: str, kind: str, message: str) -> None:
    SubElement(case, tag, type=kind, message=printable(message)).text = printable(message)


def _counts(checks: Sequence[Check], skipped: Sequence[Skipped]) -> dict[str, str]:
    verdicts = [check.verdict for check in checks]
    counts = {
        "tests": len(verdicts) + len(skipped),
        "failures": verdicts.count(REGRESS),
        "errors": verdicts.count(INCONCLUSIVE),
        "skipped": len(skipped),
        "time": 0,
    }
    return {name: str(count) for name, count in counts.items()}


def _bytes(root: Element) -> bytes:
    indent(root)
    written: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"
