"""Lines for the user on stderr."""

from __future__ import annotations

import sys

from cl_bench.contract.redaction import redacted
from cl_bench.contract.text import one_line

_LIMIT = 1_000
"""Characters of a line that are printed."""


def say(line: str) -> None:
    """Print a line on stderr, after the program's name: without keys, harmless on a terminal."""
    shown = one_line(redacted(line), _LIMIT).replace("##[", r"##\x5b")  # GitHub's runner obeys it
    print(f"cl-bench: {shown}", file=sys.stderr, flush=True)
