"""Prompt, then RL: all rounds come first, and RL reads the prompt they found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cl_bench.contract.learner import Batch, HearsBoundaries, Learner, Ledger
from cl_bench.contract.prompts import SEED_PROMPT, chat
from cl_bench.contract.registry import LEARNERS
from cl_bench.model.policy import Policy
from tests.model.samplers.doubles import Recorded


def rounds(learner: Learner) -> list[int]:
    return sorted({record.round for record in learner.lineage()})


@pytest.fixture
def config(small_config: Any) -> Any:
    return replace(small_config, consecutive_rounds=3, reflection_lm="oracle")


def test_the_rounds_precede_the_first_step_and_none_follows(
    tiny_policy: Policy, config: Any, batches: list[Batch]
) -> None:
    ledger = Ledger()
    learner = LEARNERS.load("prompt-then-rl").build(tiny_policy, config, ledger)
    list(learner.learn(batches[:1]))
    assert rounds(learner) == [1, 2, 3]
    spent = replace(ledger.fast)
    list(learner.learn(batches[1:]))
    assert rounds(learner) == []
    assert ledger.fast == spent
    assert (ledger.slow.optimizer_steps, ledger.slow.rollouts) == (5, 5 * 2 * 4)


def test_the_rounds_see_the_base_and_rl_reads_the_best_prompt_alone(
    tiny_policy: Policy, config: Any, batches: list[Batch]
) -> None:
    learner = LEARNERS.load("prompt-then-rl").build(tiny_policy, config, Ledger())
    steps = learner.learn(batches[:2])
    seen = tiny_policy.sampler = Recorded(tiny_policy.sampler)
    next(steps)
    wanted = tiny_policy.encode([chat(learner.prompt(), item.prompt) for item in batches[0]])
    assert seen.prompts[-8:] == [tuple(ids) for ids in wanted for _ in range(4)]


def test_it_does_not_matter_where_the_runner_pauses(
    tiny_model: Path, config: Any, batches: list[Batch]
) -> None:
    def records(*chunks: list[Batch]) -> list[object]:
        torch.manual_seed(3)
        policy = Policy.load(str(tiny_model))
        learner = LEARNERS.load("prompt-then-rl").build(policy, config, Ledger())
        return [replace(r, seconds=0.0) for chunk in chunks for r in learner.learn(chunk)]

    assert records(batches[:1], batches[1:]) == records(batches)


def test_an_announced_boundary_brings_the_rounds_again(
    tiny_policy: Policy, config: Any, batches: list[Batch]
) -> None:
    learner = LEARNERS.load("prompt-then-rl").build(tiny_policy, config, Ledger())
    assert learner.prompt() == SEED_PROMPT
    list(learner.learn(batches[:2]))
    assert rounds(learner) == [1, 2, 3]
    assert isinstance(learner, HearsBoundaries)
    learner.boundary()
    list(learner.learn(batches[2:]))
    assert rounds(learner) == [4, 5, 6]
