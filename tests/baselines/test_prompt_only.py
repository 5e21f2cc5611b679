"""Prompt-only: rounds on schedule, weights never move."""

from __future__ import annotations

from typing import Any

from cl_bench.contract.learner import Batch, HearsBoundaries, Learner, Ledger
from cl_bench.contract.registry import LEARNERS
from cl_bench.model.policy import Policy


def rounds(learner: Learner) -> list[int]:
    return sorted({record.round for record in learner.lineage()})


def test_a_round_precedes_every_t_th_step(
    tiny_policy: Policy, small_config: Any, batches: list[Batch]
) -> None:
    learner = LEARNERS.load("prompt").build(tiny_policy, small_config, Ledger())
    seen = []
    for batch in batches:
        assert len(list(learner.learn([batch]))) == 1
        seen.append(rounds(learner))
    assert seen == [[1], [], [2], [], [3]]


def test_the_weights_never_move_and_no_rl_is_paid_for(
    tiny_policy: Policy, small_config: Any, batches: list[Batch]
) -> None:
    ledger = Ledger()
    learner = LEARNERS.load("prompt").build(tiny_policy, small_config, ledger)
    list(learner.learn(batches))
    assert tiny_policy.is_base()
    assert ledger.slow == type(ledger.slow)()
    assert ledger.fast.rollouts > 0


def test_an_announced_boundary_brings_the_next_round_forward(
    tiny_policy: Policy, small_config: Any, batches: list[Batch]
) -> None:
    learner = LEARNERS.load("prompt").build(tiny_policy, small_config, Ledger())
    list(learner.learn(batches[:1]))
    assert rounds(learner) == [1]
    assert isinstance(learner, HearsBoundaries)
    learner.boundary()
    list(learner.learn(batches[1:2]))
    assert rounds(learner) == [2]
