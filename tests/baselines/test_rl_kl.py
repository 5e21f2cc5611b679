"""RL with a KL penalty: RL without it, and closer to the base with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cl_bench.contract.learner import Batch, Exercise, Ledger
from cl_bench.contract.prompts import SEED_PROMPT, chat
from cl_bench.contract.records import StepRecord
from cl_bench.contract.registry import LEARNERS
from cl_bench.contract.task import Verdict
from cl_bench.model.policy import Policy


def short_ones(batches: list[Batch]) -> list[Batch]:
    """The exercises with a reward that the tiny model can earn: for short responses."""

    def judge(response: str) -> Verdict:
        return Verdict(1.0 / (1 + len(response)), "", None)

    return [[Exercise(e.key, e.prompt, judge) for e in batch] for batch in batches * 3]


def trained(
    name: str, model: Path, config: Any, batches: list[Batch]
) -> tuple[Policy, list[StepRecord]]:
    policy = Policy.load(str(model))
    torch.manual_seed(2)
    learner = LEARNERS.load(name).build(policy, config, Ledger())
    return policy, [replace(record, seconds=0.0) for record in learner.learn(batches)]


def test_without_a_weight_on_the_penalty_it_is_rl(
    tiny_model: Path, small_config: Any, batches: list[Batch]
) -> None:
    given = short_ones(batches)
    _, free = trained("rl", tiny_model, small_config, given)
    _, weightless = trained("rl-kl", tiny_model, replace(small_config, kl_beta=0.0), given)
    assert weightless == free


@pytest.mark.parametrize("learner", ["rl-kl", "fst", "rl-replay", "prompt-then-rl"])
def test_the_penalty_keeps_the_policy_closer_to_its_base(
    tiny_model: Path, small_config: Any, batches: list[Batch], learner: str
) -> None:
    config = replace(small_config, learning_rate=3e-3)
    given = short_ones(batches)
    distances = []
    for beta in (0.0, 20.0):
        chosen = replace(config, kl_beta=beta)
        policy, records = trained(learner, tiny_model, chosen, given)
        assert len(records) == 15
        torch.manual_seed(0)
        rollouts = policy.generate([chat(SEED_PROMPT, "math : 1 f 2")] * 32, max_new_tokens=6)
        distances.append(policy.divergence(rollouts).per_token)
    assert 0 < distances[1] < 0.7 * distances[0]


def test_it_is_evaluated_under_the_seed_prompt(tiny_policy: Policy, small_config: Any) -> None:
    learner = LEARNERS.load("rl-kl").build(tiny_policy, small_config, Ledger())
    assert (learner.prompt(), learner.lineage()) == (SEED_PROMPT, [])
