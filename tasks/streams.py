"""The named streams. Any other `a-to-b(-to-c…)` over known domains works without an entry."""

from __future__ import annotations

from pathlib import Path

from cl_bench.contract.stream import STEP_ROLLOUTS, Stage, Stream
from cl_bench.contract.stream_file import read_stream


def _stage(domain: str, steps: int = 80) -> Stage:
    """Return a stage of as many rollouts as `steps` of the default size have."""
    return Stage(domain, steps, rollouts=steps * STEP_ROLLOUTS)


MATH_TO_CODE = Stream(
    "math-to-code",
    tuple(_stage(domain) for domain in ("math", "code")),
)

PAPER = Stream(
    "paper",
    tuple(_stage(domain, 200) for domain in ("facts", "code", "physics")),
)

ALL = Stream(
    "all",
    tuple(_stage(domain) for domain in ("math", "code", "facts", "physics", "star-graph")),
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
