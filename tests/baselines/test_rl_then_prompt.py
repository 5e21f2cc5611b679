"""RL, then prompt: RL's own weights, and a population of its own for every checkpoint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cl_bench.contract.learner import Batch, Ledger
from cl_bench.contract.prompts import SEED_PROMPT
from cl_bench.contract.records import StepRecord
from cl_bench.contract.registry import LEARNERS
from cl_bench.model.policy import Policy


@pytest.fixture
def config(small_config: Any) -> Any:
    return replace(small_config, consecutive_rounds=2, reflection_lm="oracle")


def test_the_weights_and_records_are_those_of_rl_bit_by_bit(
    tiny_model: Path, config: Any, batches: list[Batch]
) -> None:
    found: list[list[StepRecord]] = []
    weights = []
    for name in ("rl", "rl-then-prompt"):
        policy, ledger = Policy.load(str(tiny_model)), Ledger()
        torch.manual_seed(6)
        learner = LEARNERS.load(name).build(policy, config, ledger)
        records = [*learner.learn(batches[:2]), *learner.learn(batches[2:])]
        found.append([replace(record, seconds=0.0) for record in records])
        weights.append(policy.model.state_dict())
        assert (ledger.fast.rollouts > 0) == (name == "rl-then-prompt")
    assert found[0] == found[1]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_every_checkpoint_has_rounds_of_its_own_that_begin_at_the_seed_prompt(
    tiny_policy: Policy, config: Any, batches: list[Batch]
) -> None:
    learner = LEARNERS.load("rl-then-prompt").build(tiny_policy, config, Ledger())
    assert learner.prompt() == SEED_PROMPT
    seen: set[int] = set()
    for part, rounds in ((batches[:2], [1, 2]), (batches[2:], [3, 4])):
        list(learner.learn(part))
        lineage = learner.lineage()
        assert sorted({record.round for record in lineage}) == rounds
        first = [record for record in lineage if record.round == rounds[0]]
        assert first[0].text == SEED_PROMPT
        new = {record.prompt_id for record in lineage} - {0}
        assert not new & seen
        assert {record.parent_id for record in first[1:]} <= {0, *new}
        kept = [record for record in lineage if record.round == rounds[1]]
        best = max(kept, key=lambda record: (record.score, -record.prompt_id))
        assert learner.prompt() == best.text
        seen |= new


def test_the_prompt_stands_before_the_last_record_is_taken(
    tiny_policy: Policy, config: Any, batches: list[Batch]
) -> None:
    learner = LEARNERS.load("rl-then-prompt").build(tiny_policy, config, Ledger())
    steps = learner.learn(batches[:2])
    next(steps)
    assert learner.lineage() == []
    next(steps)
    assert learner.lineage() != []
