"""Keeps keys out of every text that is stored, logged or printed on stderr."""

from __future__ import annotations

import os
import re
import sys

from cl_bench.contract.text import one_line

_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS?)S?\Z", re.IGNORECASE)
_SHORTEST = 8
"""Shorter values are not keys; to hide them would mutilate texts (`OPENAI_API_KEY=none`)."""
_IN_URL = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)[^\s/@?#\"']*@", re.IGNORECASE)
_QUERY = re.compile(r"(?P<url>\b[a-z][a-z0-9+.-]*://[^\s?#\"'<>]*)[?#][^\s\"'<>]*", re.IGNORECASE)
_LONGEST = 300
"""Characters of a foreign text that `short_line` keeps."""
_PRINTED = 1_000
"""Characters of a line that `say` prints."""


def redacted(text: str) -> str:
    """Return `text` with the environment's keys hidden; an endpoint may repeat what it was sent."""
    named = (value.strip() for name, value in os.environ.items() if _SECRET_NAME.search(name))
    keys = sorted({key for key in named if len(key) >= _SHORTEST}, key=len, reverse=True)
    # The longest first: of a key that begins with another one, nothing may be left.
    return re.sub("|".join(map(re.escape, keys)), "[hidden]", text) if keys else text


def without_keys(text: str) -> str:
    """Return `text` with neither the environment's keys nor the users of URLs, who may have
    passwords."""
    return _IN_URL.sub(r"\g<scheme>", redacted(text))


def short_line(text: str) -> str:
    """Return a foreign text as one short, printable line without keys and queries of URLs."""
    return one_line(_QUERY.sub(r"\g<url>", without_keys(text)), _LONGEST)


def say(line: str) -> None:
    """Print a line on stderr, after the program's name: without keys, harmless on a terminal."""
    # GitHub's runner obeys lines with ##[ in them as commands.
    shown = one_line(without_keys(line), _PRINTED).replace("##[", r"##\x5b")
    print(f"cl-bench: {shown}", file=sys.stderr, flush=True)
