"""Untrusted texts in Markdown (on a line: `cl_bench.report.blocks.write_markdown.escaped`)."""

from __future__ import annotations

import re

from cl_bench.contract.text import printable


def fenced(text: str, language: str = "text") -> str:
    """A block that shows `text` as it is, which nothing in the text can end.

    What a terminal would obey or hide is written as an escape, but for line ends and tabs.
    """
    lines = [printable(line.expandtabs()) for line in re.split(r"\r\n|\r|\n", text)]
    longest = max(map(len, re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}{language}", *lines, fence])
