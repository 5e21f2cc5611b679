"""easy math, then colours."""

from __future__ import annotations

from cl_bench.contract.stream import Stage, Stream

STREAM = Stream(
    "cl-bench-example/warm-up",
    (Stage("math", 3, "easy"), Stage("cl-bench-example/colours", 3, "easy")),
)
