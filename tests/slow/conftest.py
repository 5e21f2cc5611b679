"""A policy of varied responses, and what it samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from cl_bench.model.policy import Policy
from cl_bench.model.sampling import Sampled
from tests.slow.scripted import Generations


@pytest.fixture
def policy(tiny_model: Path) -> Policy:
    """A policy whose responses vary in length: many of its tokens end one."""
    policy = Policy.load(str(tiny_model))
    policy.model.generation_config.eos_token_id = [1, *range(100, 180)]
    torch.manual_seed(0)
    return policy


@pytest.fixture
def seen(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> Generations:
    seen = Generations()
    continue_tokens = policy.continue_tokens

    def record(prompts: Sequence[Sequence[int]], **options: Any) -> list[Sampled]:
        sampled = continue_tokens(prompts, **options)
        seen.prompts.extend(tuple(prompt) for prompt in prompts)
        seen.completions.extend(tuple(row.tokens) for row in sampled)
        return sampled

    monkeypatch.setattr(policy, "continue_tokens", record)
    return seen
