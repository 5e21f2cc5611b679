"""Fast-slow training: the interleaving, and that it does not depend on how it is driven."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cl_bench.contract.learner import Batch, Ledger
from cl_bench.contract.registry import LEARNERS
from cl_bench.model.policy import Policy


def test_a_round_precedes_every_t_th_step_and_every_step_is_an_rl_step(
    tiny_policy: Policy, small_config: Any, batches: list[Batch]
) -> None:
    ledger = Ledger()
    learner = LEARNERS.load("fst").build(tiny_policy, small_config, ledger)
    seen = []
    for batch in batches:
        assert len(list(learner.learn([batch]))) == 1
        seen.append(sorted({record.round for record in learner.lineage()}))
    assert seen == [[1], [], [2], [], [3]]
    assert ledger.slow.optimizer_steps == 5
    assert ledger.slow.rollouts == 5 * 2 * 4
    assert ledger.fast.reflection_calls > 0


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_records_do_not_depend_on_where_the_runner_pauses(
    tiny_model: Path, small_config: Any, batches: list[Batch], cut: int
) -> None:
    def records(*chunks: list[Batch]) -> list[object]:
        torch.manual_seed(3)
        learner = LEARNERS.load("fst").build(Policy.load(str(tiny_model)), small_config, Ledger())
        return [replace(r, seconds=0.0) for chunk in chunks for r in learner.learn(chunk)]

    assert records(batches[:cut], batches[cut:]) == records(batches)


@pytest.mark.parametrize("ablation", [{}, {"mixed_groups": False}, {"refill": False}])
def test_a_loaded_learner_goes_on_as_the_saved_one_would_have(
    tiny_model: Path,
    tmp_path: Path,
    small_config: Any,
    batches: list[Batch],
    ablation: dict[str, Any],
) -> None:
    build, config = LEARNERS.load("fst").build, replace(small_config, **ablation)
    saved = build(Policy.load(str(tiny_model)), config, Ledger())
    torch.manual_seed(1)
    list(saved.learn(batches[:3]))
    saved.save(tmp_path)
    state = torch.get_rng_state()
    expected = [replace(record, seconds=0.0) for record in saved.learn(batches[3:])]

    loaded = build(Policy.load(str(tiny_model)), config, Ledger())
    loaded.load(tmp_path)
    torch.set_rng_state(state)
    assert [replace(record, seconds=0.0) for record in loaded.learn(batches[3:])] == expected
    assert loaded.prompt() == saved.prompt()
    assert loaded.lineage() == saved.lineage()
