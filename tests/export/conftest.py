"""Small finished runs to export: one that trains weights, with its stages' models, and one that
does not."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import cl_bench

SMALL: dict[str, Any] = {
    "setting": "easy",
    "steps": 1,
    "problems_per_step": 2,
    "group_size": 8,
    "round_every": 1,
    "population": 2,
    "proposals": 1,
    "round_exercises": 1,
    "items": 2,
    "samples": 1,
    "retention_items": 0,
    "probes": False,
    "max_new_tokens": 30,
    "threads": 1,
}


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two stages on the embedded model, that kept the models of their ends."""
    out = tmp_path_factory.mktemp("trained") / "run"
    cl_bench.run("math-to-code", "fst", out=out, keep_stage_models=True, **SMALL)
    return out


@pytest.fixture(scope="session")
def without_models(trained: Path) -> Path:
    """The same run as if it had kept no models but that of its checkpoint."""
    copy = trained.with_name("without-models")
    shutil.copytree(trained, copy, ignore=shutil.ignore_patterns("models"))
    return copy


@pytest.fixture(scope="session")
def prompted(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that evolved prompts alone, from a model of somebody's own."""
    out = tmp_path_factory.mktemp("prompted") / "run"
    cl_bench.run("math", "prompt", out=out, model=str(tiny_model), **SMALL)
    return out
