"""RL-only: slow weights under the seed prompt, whole state in its checkpoint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from cl_bench.contract.learner import Batch, Learner, Ledger
from cl_bench.contract.prompts import SEED_PROMPT
from cl_bench.contract.registry import LEARNERS
from cl_bench.model.policy import Policy


def test_it_takes_one_rl_step_per_batch_and_reports_it(
    tiny_policy: Policy, small_config: Any, batches: list[Batch]
) -> None:
    ledger = Ledger()
    learner = LEARNERS.load("rl").build(tiny_policy, small_config, ledger)
    records = list(learner.learn(batches))
    assert len(records) == 5
    assert ledger.slow.optimizer_steps == 5
    assert ledger.slow.rollouts == 5 * 2 * 4
    assert ledger.fast == type(ledger.fast)()


def test_it_keeps_the_seed_prompt_and_has_no_lineage(
    tiny_policy: Policy, small_config: Any, batches: list[Batch]
) -> None:
    learner = LEARNERS.load("rl").build(tiny_policy, small_config, Ledger())
    list(learner.learn(batches[:1]))
    assert learner.prompt() == SEED_PROMPT
    assert learner.lineage() == []


def test_a_loaded_learner_goes_on_as_the_saved_one_would_have(
    tiny_model: Path,
    tmp_path: Path,
    small_config: Any,
    batches: list[Batch],
) -> None:
    def fresh() -> Learner:
        return LEARNERS.load("rl").build(Policy.load(str(tiny_model)), small_config, Ledger())

    saved = fresh()
    torch.manual_seed(1)
    list(saved.learn(batches[:2]))
    saved.save(tmp_path)
    state = torch.get_rng_state()
    expected = [replace(record, seconds=0.0) for record in saved.learn(batches[2:])]

    loaded = fresh()
    loaded.load(tmp_path)
    torch.set_rng_state(state)
    assert [replace(record, seconds=0.0) for record in loaded.learn(batches[2:])] == expected
