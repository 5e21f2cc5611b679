"""What a page carries: harmless as HTML, zipped, and within its room."""

from __future__ import annotations

import gzip
import json
import re
from base64 import b64decode, b64encode
from typing import Any

import pytest

from cl_bench.report.page.html import carried, decoded, json_script, zipped

HOSTILE = "</script><img src=x onerror=alert(1)><!-- & \u2028 \u202e \ud800"
ELEMENT = re.compile(r'<script type="text/plain" id="part-(\d+)-(\w+)">(.*?)</script>')


def elements(*records: dict[str, Any]) -> list[dict[str, str]]:
    return [zipped(number, one) for number, one in enumerate(records)]


def parts_of(html: str) -> dict[tuple[int, str], Any]:
    return {
        (int(run), name): json.loads(gzip.decompress(b64decode(text)))
        for run, name, text in ELEMENT.findall(html)
    }


def test_json_in_a_page_ends_no_element_and_is_the_same_value() -> None:
    text = json_script("data", {HOSTILE: [HOSTILE, None, 1.5]})
    inner = text.removeprefix('<script type="application/json" id="data">')
    inner = inner.removesuffix("</script>\n")
    assert not set("<>&\u2028") & set(inner)
    assert json.loads(inner) == {HOSTILE: [HOSTILE, None, 1.5]}


def test_nan_is_no_json() -> None:
    with pytest.raises(ValueError, match="JSON"):
        json_script("data", float("nan"))


def test_all_parts_are_carried_where_there_is_room() -> None:
    records: list[dict[str, Any]] = [
        {"core": {"a": HOSTILE}, "steps": [1, 2]},
        {"core": {}, "transcripts": [HOSTILE]},
    ]
    found = carried(elements(*records), 10**6)
    assert found.left_out == [(), ()]
    assert parts_of(found.html) == {
        (0, "core"): {"a": HOSTILE},
        (0, "steps"): [1, 2],
        (1, "core"): {},
        (1, "transcripts"): [HOSTILE],
    }


def test_transcripts_are_left_out_first_and_the_cores_last() -> None:
    records: list[dict[str, Any]] = [
        {name: [name] for name in ("transcripts", "steps", "core")} for _ in range(3)
    ]
    whole = len(carried(elements(*records), 10**6).html)
    one = whole // 9
    found = carried(elements(*records), 7 * one)
    assert len(found.html) <= 7 * one
    kept = parts_of(found.html)
    assert {name for _, name in kept} == {"core", "steps", "transcripts"}
    assert sum(name == "transcripts" for _, name in kept) == 1
    assert found.left_out == [(), ("transcripts",), ("transcripts",)]
    assert {name for _, name in parts_of(carried(elements(*records), 3 * one + 3).html)} == {"core"}
    assert carried(elements(*records), 0).html == ""


def test_pages_compare_whatever_zipped_them() -> None:
    value = ["a", "b"] * 100
    page = carried(elements({"core": value}), 10**6).html
    (_, _, text) = ELEMENT.findall(page)[0]
    again = b64encode(gzip.compress(gzip.decompress(b64decode(text)), compresslevel=1, mtime=1))
    other = page.replace(text, again.decode())
    assert other != page
    assert decoded(other) == decoded(page)
    assert json.dumps(value, separators=(",", ":")) in decoded(page)
