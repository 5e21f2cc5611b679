"""SDPO: what the teacher reads over each response of a group, and that rewards weigh nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import torch

from cl_bench.contract.errors import UsageError
from cl_bench.contract.learner import Batch, Exercise, Learner, Ledger
from cl_bench.contract.prompts import SEED_PROMPT
from cl_bench.contract.registry import LEARNERS
from cl_bench.contract.task import Verdict
from cl_bench.model.policy import Policy

SHOWN = {"shown_success": " right : {success} ;", "shown_feedback": " wrong : {feedback} ;"}


def scripted(name: str, scores: Sequence[float], feedback: str) -> Exercise:
    """Its n-th response gets the n-th score."""
    left = cycle(scores)

    def judge(_: str) -> Verdict:
        score = next(left)
        return Verdict(score, "" if score >= 1 else feedback, None)

    return Exercise(name, f"math : {name} : 4", judge)


@pytest.fixture
def policy(tiny_model: Path) -> Policy:
    policy = Policy.load(str(tiny_model))
    torch.manual_seed(0)
    return policy


def built(policy: Policy, config: Any, **settings: Any) -> Learner:
    return LEARNERS.load("sdpo").build(policy, replace(config, **settings), Ledger())


def read_by_the_teacher(
    policy: Policy, learner: Learner, batch: Batch
) -> tuple[list[str], list[str]]:
    """The texts of the teacher's chats in a step, and the student's responses."""
    asked, encode, generate = [], policy.encode, policy.generate
    said: list[str] = []

    def encoding(chats: Any) -> Any:
        asked.append([str(messages[0]["content"]) for messages in chats])
        return encode(chats)

    def generating(chats: Any, **options: Any) -> Any:
        rollouts = generate(chats, **options)
        said.extend(rollout.text for rollout in rollouts)
        return rollouts

    policy.encode, policy.generate = encoding, generating  # type: ignore[method-assign]
    list(learner.learn([batch]))
    return asked[-1], said


def test_the_teacher_reads_another_success_and_what_was_wrong(
    policy: Policy, small_config: Any
) -> None:
    learner = built(policy, small_config, **SHOWN)
    batch = [scripted("a", [0.5, 1.0, 0.0, 0.0], "f adds 2"), scripted("b", [0.0], "answer 3")]
    read, said = read_by_the_teacher(policy, learner, batch)
    success = f" right : {said[1]} ;" if said[1] else ""
    wrong = f"{SEED_PROMPT}{success} wrong : f adds 2 ;"
    # The one success of its group has no other to learn from.
    assert read == [wrong] * 3 + [f"{SEED_PROMPT} wrong : answer 3 ;"] * 4


def test_two_successes_teach_each_other(policy: Policy, small_config: Any) -> None:
    learner = built(policy, small_config, **SHOWN)
    read, said = read_by_the_teacher(policy, learner, [scripted("a", [1.0, 1.0, 0.0, 0.0], "no")])
    assert all(said[:2])
    first, second = (f"{SEED_PROMPT} right : {text} ;" for text in said[:2])
    assert read == [second, first, f"{first} wrong : no ;", f"{first} wrong : no ;"]


def test_without_success_or_feedback_nothing_is_learned(policy: Policy, small_config: Any) -> None:
    (record,) = built(policy, small_config).learn([[scripted("a", [0.0], "")]])
    assert (record.loss, record.grad_norm, record.reward) == (0.0, 0.0, 0.0)
    assert policy.is_base()


def test_what_leaves_no_room_for_the_response_teaches_nothing(
    policy: Policy, small_config: Any
) -> None:
    (record,) = built(policy, small_config).learn([[scripted("a", [0.0], "very " * 3000)]])
    assert record.loss == 0.0
    assert policy.is_base()


def test_feedback_alone_moves_the_weights(policy: Policy, small_config: Any) -> None:
    learner = built(policy, small_config)
    (record,) = learner.learn([[scripted("a", [0.0], "f adds 2")]])
    assert record.loss > 0
    assert not policy.is_base()
    assert (learner.prompt(), learner.lineage()) == (SEED_PROMPT, [])


def test_a_loaded_learner_goes_on_as_the_saved_one_would_have(
    tiny_model: Path, tmp_path: Path, small_config: Any
) -> None:
    given = [[scripted(f"s{n}", [1.0, 0.0, 0.0, 1.0], "no")] for n in range(4)]
    first, second = (built(Policy.load(str(tiny_model)), small_config) for _ in range(2))
    list(first.learn(given[:2]))
    first.save(tmp_path)
    state = torch.get_rng_state()
    expected = [record.loss for record in first.learn(given[2:])]
    second.load(tmp_path)
    torch.set_rng_state(state)
    assert [record.loss for record in second.learn(given[2:])] == expected


@pytest.mark.parametrize("name", ["shown_success", "shown_feedback"])
def test_words_without_a_place_for_the_text_are_refused(
    policy: Policy, small_config: Any, name: str
) -> None:
    with pytest.raises(UsageError, match=rf"{name} is 'so'.*where that is to stand"):
        built(policy, small_config, **{name: "so"})
