"""Rewrites: what is skipped, what fails, what is told, and what ends a round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest

from cl_bench.contract.errors import ReflectionError
from cl_bench.contract.learner import Ledger
from cl_bench.fast.reflection.reflector import JudgedRollout, Reflection, Request
from tests.fast.scripted import (
    CONFIG,
    REFLECTION_TOKENS,
    SEED,
    ScriptedPolicy,
    exercises,
    fast,
    learn,
    says,
)


@pytest.mark.parametrize("text", [SEED, f" {SEED}\n"])
def test_an_unchanged_rewrite_is_skipped_and_never_rolled_out(text: str) -> None:
    policy, ledger = ScriptedPolicy(), Ledger()
    channel = fast(policy, says(text, text, text), ledger=ledger)
    channel.round(exercises("aaaa"))
    assert ledger.fast.reflection_calls == ledger.fast.reflection_repeats == 3
    assert ledger.fast.reflection_failures == 0
    assert ledger.rollouts == 4 + 3 * 2
    assert [record.text for record in channel.lineage()] == [SEED]


def test_equal_rewrites_of_one_wave_are_tried_once() -> None:
    ledger = Ledger()
    channel = fast(reflector=says("a", "a", "a"), ledger=ledger, wave=3)
    channel.round(exercises("aaaa"))
    assert (channel.prompts, ledger.fast.reflection_repeats) == (["a", SEED], 2)


@pytest.mark.parametrize(
    "text", ["", "  \n", "a " * 2001, "a " * 300, ReflectionError("no answer")]
)
def test_a_failed_reflection_is_counted_never_scored_and_the_round_goes_on(
    text: str | Exception,
) -> None:
    policy, ledger = ScriptedPolicy(room=400), Ledger()
    channel = fast(policy, says(text, "a"), ledger=ledger)
    channel.round(exercises("aaaa"))
    assert (ledger.fast.reflection_failures, ledger.fast.reflection_repeats) == (1, 0)
    assert policy.seen == {SEED, "a"}
    assert channel.prompts == ["a", SEED]
    answered = 1 if isinstance(text, Exception) else 2
    assert ledger.fast.reflection_tokens == answered * REFLECTION_TOKENS


@dataclass
class Together:
    """A reflector that answers a whole wave at once."""

    answer: Callable[[Sequence[Request]], list[Reflection]]

    def __call__(self, current: str, _: Sequence[JudgedRollout]) -> Reflection:
        raise AssertionError(f"a batch reflector was asked for one rewrite, of {current!r}")

    def reflect_many(self, requests: Sequence[Request]) -> list[Reflection]:
        return self.answer(requests)


def test_a_batch_reflector_answers_a_wave_at_once() -> None:
    reflector = Together(lambda requests: [learn(*request) for request in requests])
    channel = fast(reflector=reflector, wave=3)
    channel.round(exercises("aaaa"))
    assert channel.best == f"{SEED} a"


def test_a_failure_of_a_batch_reflector_fails_the_wave() -> None:
    def fail(_: Sequence[Request]) -> list[Reflection]:
        raise ReflectionError("no answer", tokens=5)

    ledger = Ledger()
    channel = fast(reflector=Together(fail), ledger=ledger, wave=3)
    channel.round(exercises("aaaa"))
    assert channel.prompts == [SEED]
    assert ledger.fast.reflection_calls == ledger.fast.reflection_failures == 3
    assert ledger.fast.reflection_tokens == 5


@pytest.mark.parametrize("answers", [0, 2])
def test_a_batch_reflector_that_answers_too_few_is_a_fault_that_stops_the_round(
    answers: int,
) -> None:
    reflector = Together(lambda _: [Reflection("a", REFLECTION_TOKENS)] * answers)
    with pytest.raises(RuntimeError, match=f"gave {answers} reflections to 3 requests"):
        fast(reflector=reflector, wave=3).round(exercises("aaaa"))


def test_any_other_error_of_a_reflector_reaches_the_caller_at_once() -> None:
    ledger = Ledger()
    channel = fast(reflector=says(KeyError("typo")), ledger=ledger)
    with pytest.raises(KeyError, match="typo"):
        channel.round(exercises("aaaa"))
    assert (channel.prompts, channel.lineage()) == ([SEED], [])
    assert (ledger.fast.reflection_calls, ledger.fast.reflection_failures) == (1, 0)


def test_each_reason_of_failure_is_logged_once_and_harmlessly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    busy = [ReflectionError("busy", f"\x1b[31mrequest {number}\n") for number in range(4)]
    channel = fast(reflector=says(busy[0], "", *busy[1:]), config=replace(CONFIG, proposals=5))
    channel.round(exercises("aaaaaaaaaa"))
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "busy: \\x1b[31mrequest 0 (said once" in caplog.messages[0]
    assert "an empty text" in caplog.messages[1]


def test_when_the_token_budget_is_spent_nobody_is_asked_any_more() -> None:
    config = replace(CONFIG, reflection_token_budget=2 * REFLECTION_TOKENS)
    ledger = Ledger()
    channel = fast(reflector=says("x", "y"), config=config, ledger=ledger)
    channel.round(exercises("aaaa"))
    assert (ledger.fast.reflection_calls, ledger.fast.reflection_failures) == (2, 1)
    resumed = fast(reflector=says(AssertionError("asked")), config=config, ledger=ledger)
    resumed.round(exercises("aaaa"))
    assert (ledger.fast.reflection_calls, ledger.fast.reflection_failures) == (2, 4)
    assert ledger.fast.reflection_tokens == 2 * REFLECTION_TOKENS


def test_a_minibatch_without_a_fault_asks_for_no_rewrite() -> None:
    ledger = Ledger()
    channel = fast(ScriptedPolicy(luck=1.0), ledger=ledger)
    channel.round(exercises("aaaa"))
    assert (ledger.fast.reflection_calls, ledger.rollouts) == (0, 4 + 3 * 2)
