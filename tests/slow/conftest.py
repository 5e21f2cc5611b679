"""A policy of varied responses, and what it samples."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cl_bench.model.policy import Policy
from tests.model.samplers.doubles import Recorded


@pytest.fixture
def policy(tiny_model: Path) -> Policy:
    """A policy whose responses vary in length: many of its tokens end one."""
    policy = Policy.load(str(tiny_model))
    policy.model.generation_config.eos_token_id = [1, *range(100, 180)]
    torch.manual_seed(0)
    return policy


@pytest.fixture
def seen(policy: Policy) -> Recorded:
    """What is asked of the policy's sampler."""
    seen = Recorded(policy.sampler)
    policy.sampler = seen
    return seen
