"""SDFT: what the teacher reads, towards what the student is drawn, and its whole state."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cl_bench.contract.errors import UsageError
from cl_bench.contract.learner import Batch, Exercise, Learner, Ledger
from cl_bench.contract.prompts import SEED_PROMPT, chat
from cl_bench.contract.registry import LEARNERS
from cl_bench.contract.task import Verdict
from cl_bench.model.policy import Policy
from tests.model.samplers.doubles import Recorded
from tests.slow.scripted import assert_same_gradients, gradients_of, trainable_copy

SOLUTION = "f adds 2 ; answer : 6"


def solved(name: str, solution: str | None = SOLUTION) -> Exercise:
    return Exercise(name, f"math : {name} : 4", lambda text: Verdict(0.0, "no", None), solution)


@pytest.fixture
def policy(tiny_model: Path) -> Policy:
    """A policy to which prompts matter."""
    loaded = Policy.load(str(tiny_model))
    with torch.no_grad():
        for weight in loaded.model.parameters():
            weight.mul_(3)
    torch.manual_seed(0)
    return Policy(loaded.model, loaded.tokenizer)


def built(policy: Policy, config: Any, **settings: Any) -> Learner:
    return LEARNERS.load("sdft").build(policy, replace(config, **settings), Ledger())


def under(model: torch.nn.Module, prompt: Sequence[int], said: Sequence[int]) -> torch.Tensor:
    logits = model(input_ids=torch.tensor([[*prompt, *said]])).logits[0]
    return torch.log_softmax(logits[len(prompt) - 1 : -1], dim=-1)


@pytest.mark.parametrize("teacher", ["student", "base"])
def test_the_loss_is_the_divergence_from_the_policy_that_has_read_the_solution(
    policy: Policy, small_config: Any, teacher: str
) -> None:
    given = gradients_of(policy.model)
    policy.sampler = told = Recorded(policy.sampler)
    learner = built(policy, small_config, teacher=teacher, shown_solution=" so : {solution} .")
    (record,) = learner.learn([[solved("a"), solved("b")]])
    model = trainable_copy(policy)
    total, tokens = torch.zeros(()), 0
    for number, (read, said) in enumerate(told.rows):
        problem = f"math : {'ab'[number // 4]} : 4"
        assert list(read) == policy.encode([chat(SEED_PROMPT, problem)])[0]
        heard = policy.encode([chat(f"{SEED_PROMPT} so : {SOLUTION} .", problem)])[0]
        mine, theirs = under(model, read, said), under(model, heard, said).detach()
        total = total + (mine.exp() * (mine - theirs)).sum()
        tokens += len(said)
    loss = total / tokens
    loss.backward()  # type: ignore[no-untyped-call]
    assert record.loss == pytest.approx(loss.item(), rel=1e-3)
    assert record.loss > 1e-3
    assert_same_gradients(given, model)


@pytest.mark.parametrize("teacher", ["student", "base"])
def test_the_teacher_has_the_weights_of_the_student_or_of_the_start(
    policy: Policy, small_config: Any, teacher: str
) -> None:
    learner = built(policy, small_config, teacher=teacher, learning_rate=0.02)
    list(learner.learn([[solved("a")]]))
    student = copy.deepcopy(policy.model)
    policy.sampler = told = Recorded(policy.sampler)
    (record,) = learner.learn([[solved("a")]])
    heard = policy.encode([chat(f"{SEED_PROMPT} {SOLUTION} ;", "math : a : 4")])[0]
    losses = {}
    with torch.no_grad(), policy.base() as base:
        for name, teaching in (("student", student), ("base", base)):
            parts = []
            for read, said in told.rows:
                mine, theirs = under(student, read, said), under(teaching, heard, said)
                parts.append((mine.exp() * (mine - theirs)).sum())
            losses[name] = float(sum(parts)) / sum(len(said) for _, said in told.rows)
    assert record.loss == pytest.approx(losses[teacher], rel=1e-3)
    assert losses["student"] != pytest.approx(losses["base"], rel=0.05)


def test_a_solution_that_leaves_the_response_no_room_teaches_nothing_and_ends_no_run(
    policy: Policy, small_config: Any
) -> None:
    long = " ".join([SOLUTION] * (policy.context or 0))
    (record,) = built(policy, small_config).learn([[solved("a", long)]])
    assert record.loss == 0.0


def test_it_keeps_the_seed_prompt_and_fits_nothing_to_solutions(
    policy: Policy, small_config: Any
) -> None:
    ledger = Ledger()
    learner = LEARNERS.load("sdft").build(policy, small_config, ledger)
    list(learner.learn([[solved("a"), solved("b")]]))
    assert (learner.prompt(), learner.lineage()) == (SEED_PROMPT, [])
    assert (ledger.slow.rollouts, ledger.slow.solution_tokens) == (8, 0)
    assert not policy.is_base()


def test_a_loaded_learner_goes_on_as_the_saved_one_would_have(
    tiny_model: Path, tmp_path: Path, small_config: Any, batches: list[Batch]
) -> None:
    first, second = (built(Policy.load(str(tiny_model)), small_config) for _ in range(2))
    list(first.learn(batches[:2]))
    first.save(tmp_path)
    state = torch.get_rng_state()
    expected = [record.loss for record in first.learn(batches[2:])]
    second.load(tmp_path)
    torch.set_rng_state(state)
    assert [record.loss for record in second.learn(batches[2:])] == expected


def test_what_it_cannot_learn_from_is_refused(policy: Policy, small_config: Any) -> None:
    with pytest.raises(UsageError, match="bare has no solution to learn from"):
        list(built(policy, small_config).learn([[solved("bare", None)]]))
    with pytest.raises(UsageError, match=r"shown_solution is 'so'.*\{solution\}"):
        built(policy, small_config, shown_solution="so")
