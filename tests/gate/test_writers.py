"""How a report is written: for people, as JSON, as JUnit XML, on GitHub."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from jsonschema import Draft202012Validator

from cl_bench.gate import write_data
from cl_bench.gate.cases import GateCase
from cl_bench.gate.outcome import Check, Coverage, GateReport, Skipped
from cl_bench.gate.write_data import data, failure, junit, junit_failure
from cl_bench.gate.write_github import (
    MOST,
    annotation_lines,
    annotation_of_error,
    append_summary,
    fenced,
    summary,
    summary_of_error,
)
from cl_bench.gate.write_text import text
from cl_bench.metrics.quantities import NATS, SHARE
from cl_bench.metrics.stats.student import Interval
from cl_bench.metrics.undefined import Undefined

HOSTILE = "evil\n::error::50%,<b>|`x`\x1b[31m\r]]>"
CASE = GateCase("fst", "math-to-code")
GOOD = Check(
    CASE,
    "average_accuracy",
    "pass",
    "within the tolerance",
    quantity=SHARE,
    reference=0.7,
    candidate=0.71,
    difference=0.01,
    interval=Interval(-0.02, 0.04, 0.95),
    tolerance=0.05,
)
BAD = replace(
    GOOD, name="bwt_gem", verdict="regress", difference=-0.2, candidate=0.5, reason="worse"
)
OPEN = Check(
    CASE,
    "kl_policy_base",
    "inconclusive",
    "one seed",
    quantity=NATS,
    reference=0.1,
    candidate=0.2,
    difference=0.1,
    interval=Undefined("one seed"),
    tolerance=0.0,
    better="lower",
    needed=2,
)


def report(*checks: Check, notes: tuple[str, ...] = ()) -> GateReport:
    cases = dict.fromkeys(check.case for check in checks)
    coverage = tuple(Coverage(case, (0, 1, 2), 4, False) for case in cases)
    return GateReport("runs/new", "ref", "p.toml", "0" * 64, 0.95, coverage, checks, notes)


def hostile() -> GateReport:
    case = GateCase(HOSTILE, HOSTILE)
    bad = replace(BAD, case=case, name=HOSTILE, reason=HOSTILE)
    return replace(report(bad, notes=(HOSTILE,)), candidate=HOSTILE, policy=HOSTILE)


def valid(value: object) -> Mapping[str, object]:
    """The value as JSON carries it, if it is as the schema says."""
    carried = json.loads(json.dumps(value, allow_nan=False))
    schema = json.loads(Path(write_data.__file__).with_name("report.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(carried)
    assert isinstance(carried, dict)
    return carried


def test_people_see_every_number_and_why_it_did_not_pass() -> None:
    shown = text(report(GOOD, BAD, OPEN, notes=("seed 9 is not checked",)))
    lines = shown.splitlines()
    assert lines[-1] == "REGRESS: 3 checks, 1 pass, 1 regress, 1 inconclusive"
    (row,) = (line.split() for line in lines if line.startswith("average_accuracy"))
    assert row == [
        *("average_accuracy", "70.0", "%", "71.0", "%", "+1.0", "points"),
        *("[−2.0,", "+4.0]", "5.0", "points", "pass"),
    ]
    assert "  regress: bwt_gem: worse" in lines
    assert "  inconclusive: kl_policy_base: one seed" in lines
    assert "fst on math-to-code: 3 of 4 seeds" in lines
    assert "  seed 9 is not checked" in lines
    assert max(map(len, lines)) <= 120


def test_nothing_hostile_reaches_the_terminal() -> None:
    shown = text(hostile())
    assert "\x1b" not in shown
    assert not any(line.strip().startswith("::") for line in shown.splitlines())


@pytest.mark.parametrize(
    ("checks", "verdict", "code"),
    [((GOOD,), "pass", 0), ((GOOD, OPEN), "inconclusive", 3), ((OPEN, BAD), "regress", 1)],
)
def test_json_follows_its_schema(checks: tuple[Check, ...], verdict: str, code: int) -> None:
    found = valid(data(report(*checks)))
    assert (found["verdict"], found["exit_code"]) == (verdict, code)


def test_json_says_why_a_number_is_null() -> None:
    (check,) = data(report(OPEN))["checks"]
    assert check["interval"] is None
    assert check["undefined"] == {"interval": "one seed"}
    assert check["needed"] == {"count": 2, "unit": "seeds"}
    (check,) = data(report(GOOD))["checks"]
    assert check["interval"] == {"low": -0.02, "high": 0.04, "level": 0.95}
    assert check["needed"] is None


def test_an_error_is_json_too() -> None:
    found = valid(failure("cannot", ["stream version 2 against 1"]))
    assert (found["verdict"], found["exit_code"]) == ("error", 2)
    assert found["differences"] == ["stream version 2 against 1"]
    with pytest.raises(Exception, match="'error' is a required property"):
        valid({name: value for name, value in found.items() if name != "error"})


def test_junit_has_a_case_for_every_check() -> None:
    root = ET.fromstring(junit(report(GOOD, BAD, OPEN)))
    assert root.tag == "testsuites"
    assert {k: root.get(k) for k in ("tests", "failures", "errors", "skipped")} == {
        "tests": "3",
        "failures": "1",
        "errors": "1",
        "skipped": "0",
    }
    (suite,) = root
    assert suite.get("name") == "fst on math-to-code"
    kinds = {case.get("name"): [child.tag for child in case] for case in suite}
    assert kinds == {
        "average_accuracy": ["system-out"],
        "bwt_gem": ["failure"],
        "kl_policy_base": ["error"],
    }
    (failed,) = suite.iter("failure")
    assert failed.get("type") == "regress"
    assert "difference −20.0 points [−2.0, +4.0], tolerance 5.0 points: worse" in (
        failed.text or ""
    )


def test_what_was_skipped_is_said_everywhere() -> None:
    skipped = Skipped(CASE, "bwt_gem", "is undefined in all runs (one stage)")
    found = replace(report(GOOD, notes=("more",)), skipped=(skipped,))
    line = "fst on math-to-code: bwt_gem is undefined in all runs (one stage), so not checked"
    root = ET.fromstring(junit(found))
    assert (root.get("tests"), root.get("skipped")) == ("2", "1")
    (case,) = (case for case in root.iter("testcase") if case.get("name") == "bwt_gem")
    (mark,) = case
    assert (mark.tag, mark.get("message")) == ("skipped", "is undefined in all runs (one stage)")
    carried = valid(data(found))
    assert carried["skipped"] == [
        {
            "learner": "fst",
            "stream": "math-to-code",
            "name": "bwt_gem",
            "reason": "is undefined in all runs (one stage)",
        }
    ]
    assert carried["notes"] == [line, "more"]
    assert f"  {line}" in text(found).splitlines()
    assert "so not checked" in summary(found)


def test_junit_holds_hostile_text_and_errors() -> None:
    root = ET.fromstring(junit(hostile()))
    (case,) = root.iter("testcase")
    assert case.get("name") == HOSTILE.encode("unicode_escape").decode()
    (error,) = ET.fromstring(junit_failure(HOSTILE)).iter("error")
    assert "evil" in (error.text or "")


def test_annotations_name_each_check_that_does_not_pass() -> None:
    first, second = annotation_lines(report(GOOD, BAD, OPEN))
    assert first.startswith("::error title=cl-bench check%3A regress::fst on math-to-code: bwt_gem")
    assert second.startswith("::warning title=cl-bench check%3A inconclusive::fst on math-to-code:")
    assert annotation_lines(report(GOOD)) == [
        "::notice title=cl-bench check%3A pass::PASS: 1 check, 1 pass"
    ]


def test_annotations_are_escaped() -> None:
    """GitHub decodes %25, %0D and %0A; a line end or an ANSI sequence never stands there raw."""
    for line in [*annotation_lines(hostile()), annotation_of_error(HOSTILE)]:
        assert re.fullmatch(r"::error title=cl-bench check%3A (regress|error)::[^\n\r\x1b]*", line)
        message = line.split("::", 2)[2]
        assert "50%25," in message
        assert "%" not in message.replace("%25", "")
        assert r"evil\n::error::" in message  # printable: a line end is two characters


def test_many_annotations_are_cut_to_what_github_shows() -> None:
    lines = annotation_lines(report(*(replace(BAD, name=f"m{n}") for n in range(25))))
    assert len(lines) == MOST
    assert lines[-1].endswith("::and 16 more; the log has all of them")


def test_what_is_printed_between_commands_is_fenced() -> None:
    first, inside, last = fenced("::error::x").splitlines()
    token = first.removeprefix("::stop-commands::")
    assert len(token) == 32
    assert (inside, last) == ("::error::x", f"::{token}::")
    assert fenced("x") != fenced("x")


def test_the_step_summary_is_markdown_that_obeys_nothing() -> None:
    shown = summary(report(GOOD, BAD))
    assert "## ❌ cl-bench check: regress" in shown
    (row,) = (line for line in shown.splitlines() if line.startswith("| average_accuracy |"))
    assert row.count("|") == 8
    rows = [line for line in summary(hostile()).splitlines() if line.startswith("| evil")]
    assert len(rows) == 1
    assert len(re.findall(r"(?<!\\)\|", rows[0])) == 8
    assert "<b>" not in summary(hostile())
    assert "<b>" not in summary_of_error(HOSTILE)


def test_the_step_summary_is_added_to_the_file_that_github_names(tmp_path: Path) -> None:
    place = tmp_path / "summary.md"
    place.write_text("before\n")
    append_summary("after", {"GITHUB_STEP_SUMMARY": str(place)})
    append_summary("nowhere", {})
    assert place.read_text() == "before\nafter\n"
