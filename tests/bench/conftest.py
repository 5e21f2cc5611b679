"""What the benchmarks share: the embedded model and one course of math problems.

Nothing is asserted about seconds; ratios within one group of one run are what counts.
"""

from __future__ import annotations

import pytest
import torch

from cl_bench.learner import LearnerConfig
from cl_bench.models import EMBEDDED, resolve
from cl_bench.policy import Policy
from cl_bench.stream import Course, stream


@pytest.fixture
def policy() -> Policy:
    """A fresh embedded model, and torch's generator at the same place for every contestant."""
    torch.manual_seed(0)
    return Policy.load(resolve(EMBEDDED))


@pytest.fixture(scope="session")
def course() -> Course:
    """80 steps of math at the default sizes."""
    size = LearnerConfig().problems_per_step
    return Course(stream("math"), seed=0, feedback="step", problems_per_step=size)
