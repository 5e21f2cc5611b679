"""FST-distill: rounds on schedule, and weights that learn from prompts instead of rewards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from cl_bench.contract.learner import Batch, Exercise, HearsBoundaries, Ledger
from cl_bench.contract.prompts import SEED_PROMPT
from cl_bench.contract.registry import LEARNERS
from cl_bench.contract.task import Verdict
from cl_bench.model.policy import Policy


def improving(batches: Sequence[Batch], ledger: Ledger) -> list[Batch]:
    """The exercises with a score that rises with every rewrite, whatever the response says.

    Rewrites are accepted for it, and no group of rollouts ever has differing rewards.
    """

    def judge(_: str) -> Verdict:
        calls = ledger.fast.reflection_calls
        score = min(calls / 10, 1.0)
        return Verdict(score, f"math : wrong at step 1 : f adds {calls % 10}", None)

    return [[Exercise(e.key, e.prompt, judge) for e in batch] for batch in batches]


def test_a_round_precedes_every_t_th_step_and_every_step_is_paid_for(
    tiny_policy: Policy, small_config: Any, batches: list[Batch]
) -> None:
    ledger = Ledger()
    learner = LEARNERS.load("fst-distill").build(tiny_policy, small_config, ledger)
    seen = []
    for batch in batches:
        assert len(list(learner.learn([batch]))) == 1
        seen.append(sorted({record.round for record in learner.lineage()}))
    assert seen == [[1], [], [2], [], [3]]
    assert ledger.slow.optimizer_steps == 5
    assert ledger.slow.rollouts == 5 * 2 * 4
    assert ledger.fast.reflection_calls > 0


@pytest.mark.parametrize(("name", "moves"), [("fst-distill", True), ("fst", False)])
def test_prompts_move_the_weights_where_rewards_give_rl_no_signal(
    tiny_policy: Policy, small_config: Any, batches: list[Batch], name: str, moves: bool
) -> None:
    ledger = Ledger()
    config = replace(small_config, reflection_lm="oracle")
    learner = LEARNERS.load(name).build(tiny_policy, config, ledger)
    records = list(learner.learn(improving(batches, ledger)))
    assert learner.prompt() != SEED_PROMPT
    assert any(record.loss > 0 for record in records) is moves
    assert tiny_policy.is_base() is not moves


def test_an_announced_boundary_brings_the_next_round_forward(
    tiny_policy: Policy, small_config: Any, batches: list[Batch]
) -> None:
    learner = LEARNERS.load("fst-distill").build(tiny_policy, small_config, Ledger())
    list(learner.learn(batches[:1]))
    assert isinstance(learner, HearsBoundaries)
    learner.boundary()
    list(learner.learn(batches[1:2]))
    assert sorted({record.round for record in learner.lineage()}) == [1, 2]
