"""What the benchmarks share: the embedded model and one course of math problems.

Nothing is asserted about seconds. What the suite promises are ratios within one run, and those are
asserted here: a contestant's median over ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from cl_bench.contract.stream import Course
from cl_bench.contract.stream_names import stream
from cl_bench.model.named import EMBEDDED, resolve
from cl_bench.model.policy import Policy
from cl_bench.slow.settings import RLConfig


@pytest.fixture
def policy() -> Policy:
    """A fresh embedded model, and torch's generator at the same place for every contestant."""
    torch.manual_seed(0)
    return Policy.load(resolve(EMBEDDED))


@pytest.fixture(scope="session")
def course() -> Course:
    """80 steps of math at the default sizes."""
    size = RLConfig().problems_per_step
    return Course(stream("math"), seed=0, feedback="step", problems_per_step=size)


@pytest.fixture(scope="session")
def medians() -> dict[str, float]:
    """Median seconds of the contestants measured so far, by name."""
    return {}


@pytest.fixture
def slower_than_ours(
    benchmark: BenchmarkFixture, medians: dict[str, float]
) -> Callable[[str, float], None]:
    """Called after a contestant was measured: it must take `times` as long as ours or longer.

    Nothing is asserted where ours was not measured in the same session.
    """

    def compare(ours: str, times: float) -> None:
        ratio = cast(Any, benchmark).stats.stats.median / medians.get(ours, float("nan"))
        benchmark.extra_info["times ours"] = round(ratio, 3)
        assert not ratio < times

    return compare
