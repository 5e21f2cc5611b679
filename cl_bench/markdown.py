"""Untrusted texts in Markdown."""

from __future__ import annotations

import re

from cl_bench.text import printable

_SPECIAL = re.compile(r"[\\`*<>|~&_#\[\]$]")
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}


def fenced(text: str, language: str = "text") -> str:
    """A block that shows `text` as it is, which nothing in the text can end.

    What a terminal would obey or hide is written as an escape, but for line ends and tabs.
    """
    lines = [printable(line.expandtabs()) for line in re.split(r"\r\n|\r|\n", text)]
    longest = max(map(len, re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}{language}", *lines, fence])


def escaped(text: str) -> str:
    """A plain text on one line, in a table's cell too, of which Markdown and HTML obey nothing."""
    return _SPECIAL.sub(lambda found: _ENTITIES.get(found[0], f"\\{found[0]}"), printable(text))
