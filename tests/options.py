"""Options that serve tests of several learners."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cl_bench.execution.settings import names_of

_OF_A_CALL = ("stream", "steps", "setting", "out", "track", "progress", "record", "replay")


def fitting(learner: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Of `options` of `cl_bench.run`, those that a run with this learner has, and its name."""
    known = {*names_of(learner), *_OF_A_CALL}
    return {name: options[name] for name in options if name in known} | {"learner": learner}


SMALLEST: Mapping[str, Any] = {
    "problems_per_step": 2,
    "group_size": 2,
    "items": 2,
    "samples": 1,
    "max_new_tokens": 6,
    "setting": "easy",
    "retention_items": 0,
    "threads": 1,
}
"""Options of runs of which only matters that they are made."""
