"""The committed page of the claims follows from the tables, and docs/findings.md repeats it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cl_bench.claims.page import BUILT_IN
from cl_bench.claims.reproduce import rebuild

ROOT = Path(__file__).parents[2]
ARCHIVE = ROOT / "results" / "claims"
PAGE = ROOT / "reports" / "claims.md"
FINDINGS = ROOT / "docs" / "findings.md"


@pytest.mark.slow
def test_the_page_follows_from_the_tables(tmp_path: Path) -> None:
    again = rebuild(ARCHIVE, tmp_path)
    assert again.markdown.read_text() == PAGE.read_text()
    assert len(again.judged) == 10


def test_the_findings_have_the_verdicts_and_values_of_the_page() -> None:
    rows = re.findall(
        r"^\| (\d+)\. [^|]*\| ([^|]*) \| ([^|]*) \|$", FINDINGS.read_text(), re.MULTILINE
    )
    assert sorted(int(number) for number, *_ in rows) == [*range(1, 11)]
    page = PAGE.read_text()
    for number, verdict, measured in rows:
        section = page.split(f'<a id="claim-{number}"></a>')[1].split("<a id=")[0]
        assert f"Verdict: **{verdict.strip('*')}**" in section
        values = re.findall(r"\[[^]]*\d[^]]*\]", measured)
        assert values
        for interval in values:
            assert _rounded(interval, section), (number, interval)


def test_page_and_findings_say_what_the_embedded_model_builds_in() -> None:
    assert BUILT_IN in PAGE.read_text()
    assert BUILT_IN in " ".join(FINDINGS.read_text().split())


def _rounded(interval: str, section: str) -> bool:
    """Whether an interval of the section is this one, at its digits."""
    digits = max(len(part.partition(".")[2]) for part in interval.strip("[]").split(", "))
    return any(
        [round(_number(part), digits) for part in found.split(", ")]
        == [_number(part) for part in interval.strip("[]").split(", ")]
        for found in re.findall(r"\[([−+\d., ]*)\]", section)
    )


def _number(text: str) -> float:
    return float(text.replace("−", "-").replace(",", ""))
