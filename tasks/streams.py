"""The named streams. Any other `a-to-b(-to-c…)` over known domains works without an entry."""

from __future__ import annotations

from cl_bench.stream import DEFAULT_STEPS, Stage, Stream

MATH_TO_CODE = Stream(
    "math-to-code",
    (Stage("math", DEFAULT_STEPS), Stage("code", DEFAULT_STEPS)),
)

PAPER = Stream(
    "paper",
    (Stage("facts", 200), Stage("code", 200), Stage("physics", 200)),
)

ALL = Stream(
    "all",
    tuple(
        Stage(domain, DEFAULT_STEPS)
        for domain in ("math", "code", "facts", "physics", "star-graph")
    ),
)
