"""Reflection without a model: advice on the kinds of mistake that feedback names."""

from __future__ import annotations

import pytest

from cl_bench.contract.answers import judge
from cl_bench.contract.errors import ReflectionError
from cl_bench.contract.task import FeedbackLevel
from cl_bench.fast.reflection.digest import ADVICE, DigestReflector
from cl_bench.fast.reflection.reflector import JudgedRollout

SEED = "Solve the problem."


def rollout(
    response: str, *, cut: bool = False, level: FeedbackLevel = "full", gold: str = "12"
) -> JudgedRollout:
    verdict = judge(response, gold, asked="What is 5 + 7?", kind="number", level=level)
    return JudgedRollout("What is 5 + 7?", response, verdict.of_response(truncated=cut))


def test_it_advises_against_the_most_frequent_mistake() -> None:
    rollouts = [rollout("First", cut=True), rollout("Then", cut=True), rollout("answer: -12")]
    found = DigestReflector()(SEED, rollouts)
    assert (found.text, found.tokens) == (f"{SEED} {ADVICE['cut off'][0]}", 0)


def test_answers_without_a_form_are_advised_to_have_one() -> None:
    found = DigestReflector()(SEED, [rollout("answer: 3"), rollout("-12"), rollout("It is 3.")])
    assert found.text == f"{SEED} {ADVICE['wrong'][0]}"
    again = DigestReflector()(f"{SEED} {' '.join(ADVICE['wrong'])}", [rollout("It is 3.")])
    assert again.text.endswith(ADVICE["form"][0])


def test_what_the_instructions_already_say_is_not_said_again() -> None:
    text = SEED
    for _ in range(sum(len(ADVICE[kind]) for kind in ("wrong", "form"))):
        text = DigestReflector()(text, [rollout("It is 3.")]).text
    with pytest.raises(ReflectionError, match="leave no advice"):
        DigestReflector()(text, [rollout("It is 3.")])
    assert all(text.count(sentence) == 1 for kind in ("wrong", "form") for sentence in ADVICE[kind])


def test_advice_never_contradicts_what_the_instructions_say() -> None:
    briefly = DigestReflector()(SEED, [rollout("First", cut=True)]).text
    careful = DigestReflector()(SEED, [rollout("answer: 3")]).text
    assert "step by step" in careful
    assert "brief" in briefly
    assert "step by step" not in DigestReflector()(briefly, [rollout("answer: 3")]).text
    with pytest.raises(ReflectionError, match="leave no advice"):
        DigestReflector()(careful, [rollout("First", cut=True)])


@pytest.mark.parametrize("level", ["none", "answer"])
def test_feedback_that_names_no_mistake_is_a_failed_reflection(level: FeedbackLevel) -> None:
    with pytest.raises(ReflectionError, match="names no kind of mistake"):
        DigestReflector()(SEED, [rollout("It is 3.", level=level)])


def test_no_advice_holds_an_answer() -> None:
    assert not any(c.isdigit() for said in ADVICE.values() for text in said for c in text)
