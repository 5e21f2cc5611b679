"""One sampler, set in one place: all that generates goes through it; it hears of new weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cl_bench.contract.learner import Batch, LearnerConfig, Ledger
from cl_bench.contract.prompts import SEED_PROMPT, chat
from cl_bench.contract.registry import LEARNERS
from cl_bench.contract.stream import Course
from cl_bench.contract.stream_names import stream
from cl_bench.execution.evaluator import Evaluator
from cl_bench.execution.settings import EvaluationConfig
from cl_bench.model.policy import Policy
from cl_bench.tools.checks.watched import Meter, metered
from tests.model.samplers.doubles import Scripted

SAID = "4 2"


@pytest.fixture
def scripted(tiny_policy: Policy) -> Scripted:
    """The sampler of `tiny_policy`."""
    ids = tiny_policy.tokenizer(SAID, add_special_tokens=False)["input_ids"]
    sampler = Scripted([*ids, tiny_policy.tokenizer.eos_token_id])
    tiny_policy.sampler = sampler
    return sampler


def test_a_rollout_is_what_the_sampler_said(tiny_policy: Policy, scripted: Scripted) -> None:
    chats = [chat(SEED_PROMPT, "math : one f : 4"), chat("", "math : 1")]
    rollouts = tiny_policy.generate(chats, max_new_tokens=6)
    assert [list(rollout.prompt_ids) for rollout in rollouts] == tiny_policy.encode(chats)
    for rollout in rollouts:
        assert (rollout.text, rollout.truncated) == (SAID, False)
        assert rollout.completion_ids == tuple(scripted.tokens)
        assert rollout.log_probs == (-1.0,) * len(scripted.tokens)
        assert rollout.entropy == 2.0


@pytest.mark.parametrize("name", list(LEARNERS.table))
def test_learners_generate_with_it_alone_and_tell_it_of_every_step(
    name: str,
    tiny_policy: Policy,
    scripted: Scripted,
    small_config: Any,
    batches: list[Batch],
) -> None:
    ledger = Ledger()
    meter: Meter
    with metered(tiny_policy) as meter:
        learner = LEARNERS.load(name).build(tiny_policy, small_config, ledger)
        list(learner.learn(batches[:4], batches[4:]))
    assert scripted.of_policy == ledger.rollouts
    assert (ledger.rollouts > 0) is (name != "sft")
    calls = ledger.slow.reflection_calls + ledger.fast.reflection_calls
    assert scripted.of_base >= calls  # a failed one is asked again
    assert meter.rows == scripted.of_policy + scripted.of_base
    assert scripted.changes == ledger.slow.optimizer_steps


def test_loading_weights_is_told_too(
    tiny_policy: Policy,
    scripted: Scripted,
    small_config: Any,
    batches: list[Batch],
    tmp_path: Path,
) -> None:
    learner = LEARNERS.load("rl").build(tiny_policy, small_config, Ledger())
    list(learner.learn(batches[:1]))
    learner.save(tmp_path)
    learner.load(tmp_path)
    assert scripted.changes == 2


def test_the_evaluator_generates_with_it_alone(tiny_policy: Policy, scripted: Scripted) -> None:
    course = Course(
        stream("math-to-code", setting="easy"), seed=0, feedback="step", problems_per_step=2
    )
    config = EvaluationConfig(items=2, samples=2, transcripts=2)
    evaluator = Evaluator(tiny_policy, course, config, learning=LearnerConfig(max_new_tokens=6))
    evaluation = evaluator.evaluate(1, "other", boundary=True)
    assert {row["response"] for row in evaluation.transcripts} == {SAID}
    assert {row["completion_tokens"] for row in evaluation.items} == {len(scripted.tokens)}
    assert scripted.of_policy > 0
    assert scripted.of_base > 0
