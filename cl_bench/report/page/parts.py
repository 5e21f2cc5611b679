"""What a page carries for its script: plain JSON for what is always needed, zipped JSON for runs.

`decoded` undoes the zipping, so that two pages can be compared whatever zipped them.
"""

from __future__ import annotations

import gzip
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cl_bench.report.page.record import PARTS

LIMIT = 9_900_000
"""Bytes of a page at most."""

_PART = re.compile(r'<script type="text/plain" id="(part-\d+-[a-z]+)">([A-Za-z0-9+/=]*)</script>')
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


@dataclass(frozen=True)
class Carried:
    """The runs' parts as they stand in the page."""

    html: str
    left_out: Sequence[tuple[str, ...]]
    """By run, the parts for which there was no room."""


def json_script(name: str, value: Any) -> str:
    """A value as JSON that no HTML parser can see an end or a comment in."""
    return f'<script type="application/json" id="{name}">{_json(value)}</script>\n'


def carried(records: Sequence[Mapping[str, Any]], room: int) -> Carried:
    """As many parts of the runs' records as `room` bytes hold: first the first part of all runs,
    then the second of all, and so on."""
    kept: list[dict[str, str]] = [{} for _ in records]
    for name in PARTS:
        for number, one in enumerate(records):
            if name not in one:
                continue
            element = _element(number, name, one[name])
            if len(element) <= room:
                room -= len(element)
                kept[number][name] = element
    left_out = [
        tuple(name for name in one if name not in found)
        for one, found in zip(records, kept, strict=True)
    ]
    return Carried("".join(text for found in kept for text in found.values()), left_out)


def decoded(page: str) -> str:
    """The page with its zipped parts as the JSON that they hold."""
    return _PART.sub(
        lambda found: f'<script id="{found[1]}">{gzip.decompress(b64decode(found[2])).decode()}',
        page,
    )


def _element(run: int, part: str, value: Any) -> str:
    zipped = gzip.compress(_json(value).encode(), compresslevel=6, mtime=0)
    text = b64encode(zipped).decode("ascii")
    return f'<script type="text/plain" id="part-{run}-{part}">{text}</script>\n'


def _json(value: Any) -> str:
    """ASCII without the signs of HTML; NaN, which is no JSON, is refused."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return re.sub("[<>&]", lambda found: _ESCAPES[found[0]], text)
