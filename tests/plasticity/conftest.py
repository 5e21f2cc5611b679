"""Small runs, with and without models of their stages' ends, in which the weights move.

On the embedded model, because random weights earn no reward.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import cl_bench

SMALL: dict[str, Any] = {
    "stream": "math-to-code",
    "learner": "rl",
    "setting": "easy",
    "steps": 2,
    "problems_per_step": 2,
    "group_size": 8,
    "items": 2,
    "samples": 2,
    "retention_items": 0,
    "probes": False,
    "max_new_tokens": 30,
    "threads": 1,
}


@pytest.fixture(scope="package")
def keeping(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two stages, each with its model."""
    out = tmp_path_factory.mktemp("keeping") / "run"
    return cl_bench.run(out=out, keep_stage_models=True, **SMALL).path


@pytest.fixture(scope="package")
def keeping_none(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run without models."""
    out = tmp_path_factory.mktemp("none") / "run"
    return cl_bench.run(out=out, **SMALL).path
