"""The named streams. Any other `a-to-b(-to-c…)` over known domains works without an entry."""

from __future__ import annotations

from pathlib import Path

from cl_bench.contract.stream import DEFAULT_STEPS, Stage, Stream
from cl_bench.contract.stream_file import read_stream

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


def __getattr__(name: str) -> Stream:
    """The streams that are files beside this one; they need reasoning-gym or the hub, and are read
    when asked for."""
    files = {
        "GYM_ARITHMETIC": "gym-arithmetic.toml",
        "GYM_MIXED": "gym-mixed.toml",
        "PAPER_HUB": "paper-hub.toml",
    }
    if name not in files:
        raise AttributeError(name)
    return read_stream(Path(__file__).with_name(files[name]))
