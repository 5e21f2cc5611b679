"""SFT: a step a batch on the solutions, under the seed prompt, and nothing of the judge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cl_bench.contract.learner import Batch, Ledger
from cl_bench.contract.prompts import SEED_PROMPT
from cl_bench.contract.registry import LEARNERS
from cl_bench.model.policy import Policy


def test_it_takes_one_step_per_batch_and_samples_nothing(
    tiny_policy: Policy, small_config: Any, batches: list[Batch]
) -> None:
    ledger = Ledger()
    learner = LEARNERS.load("sft").build(tiny_policy, small_config, ledger)
    losses = [record.loss for record in learner.learn(batches)]
    assert (ledger.slow.optimizer_steps, ledger.rollouts) == (5, 0)
    assert losses[-1] < losses[0]
    assert (learner.prompt(), learner.lineage()) == (SEED_PROMPT, [])


def test_a_loaded_learner_goes_on_as_the_saved_one_would_have(
    tiny_model: Path, tmp_path: Path, small_config: Any, batches: list[Batch]
) -> None:
    first, second = (
        LEARNERS.load("sft").build(Policy.load(str(tiny_model)), small_config, Ledger())
        for _ in range(2)
    )
    list(first.learn(batches[:2]))
    first.save(tmp_path)
    second.load(tmp_path)
    losses = [[record.loss for record in one.learn(batches[2:])] for one in (first, second)]
    assert losses[0] == losses[1]
