"""Rounds: what is accepted, what is scored, and which prompts are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from cl_bench.contract.learner import Ledger
from cl_bench.fast.reflection.reflector import JudgedRollout, Reflection
from tests.fast.scripted import (
    CONFIG,
    REFLECTION_TOKENS,
    SEED,
    ScriptedPolicy,
    by_text,
    exercise,
    exercises,
    fast,
    says,
)


def test_before_any_round_the_population_is_the_seed_alone() -> None:
    channel = fast()
    assert (channel.prompts, channel.best, channel.lineage()) == ([SEED], SEED, [])


def test_an_improvement_is_found_and_accepted() -> None:
    channel = fast()
    channel.round(exercises("aaaa"))
    assert channel.prompts == [f"{SEED} a", SEED]
    assert channel.best == f"{SEED} a"


def test_proposals_of_a_round_build_on_earlier_ones_when_the_wave_is_one() -> None:
    config = replace(CONFIG, proposals=12, round_exercises=2)
    channel = fast(config=config)
    channel.round(exercises("ab"))
    assert set(channel.best.split()) == {*SEED.split(), "a", "b"}


def test_a_wave_of_proposals_shares_its_generations() -> None:
    policy = ScriptedPolicy()
    channel = fast(policy, says("x a", "y a", "z a"), wave=2)
    channel.round(exercises("aaaaaa"))
    first, second = policy.calls[1:4], policy.calls[4:]
    assert [len(call) for call in first] == [4, 4, 8]  # two parents, two children, both on all
    assert len(second[0]) == 2  # the third proposal comes alone


def test_the_whole_population_is_scored_anew_in_one_generation() -> None:
    policy = ScriptedPolicy()
    channel = fast(policy)
    channel.round(exercises("aaaa"))
    policy.calls.clear()
    channel.round(exercises("aaaa"))
    assert sorted(policy.calls[0]) == [SEED] * 4 + [f"{SEED} a"] * 4


def test_a_prompt_falls_behind_when_the_weights_move_against_it() -> None:
    policy = ScriptedPolicy()
    channel = fast(policy, says("a", "a b b"), wave=2)
    channel.round(exercises("aabc"))
    assert channel.best == "a b b"
    policy.forgotten = {"a", "b"}
    channel.round(exercises("aabc"))
    scores = {record.text: record.score for record in channel.lineage() if record.round == 2}
    assert scores == {"a": 0.0, "a b b": 0.0, SEED: 0.0}
    assert channel.best == SEED  # all equal: the oldest


def test_the_population_survives_from_round_to_round_under_its_numbers() -> None:
    channel = fast(reflector=says("a", "b"), wave=3)
    channel.round(exercises("aabc"))
    first = by_text(channel.lineage())
    channel.round(exercises("aabc"))
    second = by_text(channel.lineage())
    assert set(channel.prompts) == {"a", "b", SEED}
    assert {text: (r.prompt_id, r.parent_id) for text, r in first.items()} == {
        text: (r.prompt_id, r.parent_id) for text, r in second.items()
    }
    assert {record.round for record in second.values()} == {2}


SPECIALISTS = ("a b c d", "b c d", "e f")
"""Mean scores 4/6, 3/6 and 2/6 on abcdef; only the second is redundant."""


@pytest.mark.parametrize(
    ("population", "kept"),
    [
        (1, ["a b c d"]),
        (2, ["a b c d", "e f"]),
        (3, ["a b c d", "b c d", "e f"]),
        (4, ["a b c d", "b c d", "e f", SEED]),
        (5, ["a b c d", "b c d", "e f", SEED]),
    ],
)
def test_the_frontier_is_kept_before_higher_means_and_refilled_by_mean(
    population: int, kept: list[str]
) -> None:
    config = replace(CONFIG, population=population, reflection_batch=6, round_exercises=6)
    channel = fast(reflector=says(*SPECIALISTS), config=config, wave=3)
    channel.round(exercises("abcdef"))
    assert channel.prompts == kept


@pytest.mark.parametrize(
    ("rewrites", "kept"),
    [
        (SPECIALISTS, ["a b c d", "e f"]),
        (("a b c d", "e f", "a b c d e f"), ["a b c d e f"]),
        (("x", "y", "z"), [SEED]),
    ],
)
def test_without_refill_only_the_frontier_is_kept_even_if_it_is_one_prompt(
    rewrites: tuple[str, ...], kept: list[str]
) -> None:
    config = replace(CONFIG, reflection_batch=6, round_exercises=6, refill=False)
    channel = fast(reflector=says(*rewrites), config=config, wave=3)
    channel.round(exercises("abcdef"))
    assert channel.prompts == kept
    fates = {record.text: record.fate for record in channel.lineage()}
    assert [text for text in fates if fates[text] == "kept"] == sorted(kept, key=[*fates].index)


def test_without_refill_a_frontier_of_more_than_k_prompts_keeps_the_best_means() -> None:
    config = replace(CONFIG, reflection_batch=6, round_exercises=6, refill=False, population=2)
    channel = fast(reflector=says("a b c", "d e", "f"), config=config, wave=3)
    channel.round(exercises("abcdef"))
    assert channel.prompts == ["a b c", "d e"]


@pytest.mark.parametrize(
    ("scored_by", "kept"),
    [
        ("think x x x", [SEED, "a"]),  # 1/4 below the seed prompt, and a standard error is 1/4
        ("think think x x", [SEED]),  # 1/2 below, a standard error is 0.29
        ("think think think think", [SEED]),  # without any noise
        ("think", [SEED, "a"]),  # one exercise tells nothing
        ("a a a a", ["a", SEED]),  # the seed prompt is nobody's rewrite
    ],
)
def test_a_prompt_that_falls_clearly_behind_the_seed_prompt_is_not_refilled(
    scored_by: str, kept: list[str]
) -> None:
    channel = fast(reflector=says("a"), wave=3)
    channel.round(exercises("aaaa"))
    assert channel.prompts == ["a", SEED]
    channel.round([exercise(word) for word in scored_by.split()])
    assert channel.prompts == kept
    last = [record for record in channel.lineage() if record.round == 2]
    assert {record.text for record in last if record.fate == "kept"} == {*kept}
    assert {record.text for record in last} == {"a", SEED}


@pytest.mark.parametrize(
    ("scored_by", "kept"),
    [
        ("aaab", ["a b c", "a", "b c", SEED]),  # 1/2 below its parent, and so is a standard error
        ("aaaab", ["a b c", "a", SEED]),  # 0.6 below, a standard error is 0.4
    ],
)
def test_a_prompt_that_falls_clearly_behind_its_parent_is_not_refilled(
    scored_by: str, kept: list[str]
) -> None:
    config = replace(CONFIG, reflection_batch=5, round_exercises=5)
    channel = fast(reflector=says("a", "b c", "a b c"), config=config)
    channel.round(exercises("abbbc"))
    born = by_text(channel.lineage())
    assert born["b c"].parent_id == born["a"].prompt_id
    channel.round(exercises(scored_by))
    assert channel.prompts == kept
    scores = by_text(channel.lineage())
    assert scores["b c"].score > scores[SEED].score  # which it beats


def test_equal_scores_go_to_the_older_prompt() -> None:
    channel = fast(reflector=says("x a", "y a"), config=replace(CONFIG, population=1), wave=3)
    channel.round(exercises("aaaa"))
    assert channel.best == "x a"


def test_older_prompts_win_ties_even_when_they_led_less_before() -> None:
    policy = ScriptedPolicy()
    channel = fast(policy, says("a", "a b"), replace(CONFIG, population=2), wave=3)
    channel.round(exercises("aabb"))
    assert channel.prompts == ["a b", "a"]
    policy.forgotten = {"b"}
    channel.round(exercises("aaaa"))
    assert channel.prompts == ["a", "a b"]


def test_validation_is_the_first_exercises_and_minibatches_come_from_all() -> None:
    policy, asked = ScriptedPolicy(), list[str]()

    def reflector(current: str, rollouts: Sequence[JudgedRollout]) -> Reflection:
        asked.extend(rollout.prompt for rollout in rollouts)
        return Reflection(current, REFLECTION_TOKENS)

    channel = fast(policy, reflector, replace(CONFIG, round_exercises=2))
    channel.round(exercises("abcdef"))
    assert len(policy.calls[0]) == 2
    assert sorted(asked) == [f"need {word}" for word in "abcdef"]


def test_feedback_may_come_from_exercises_of_its_own() -> None:
    policy, asked = ScriptedPolicy(), list[str]()

    def reflector(current: str, rollouts: Sequence[JudgedRollout]) -> Reflection:
        asked.extend(rollout.prompt for rollout in rollouts)
        return Reflection(current, REFLECTION_TOKENS)

    config = replace(CONFIG, round_exercises=2, feedback_exercises=4)
    assert config.exercises_ahead == 6
    channel = fast(policy, reflector, config)
    channel.round(exercises("abcdef"))
    assert len(policy.calls[0]) == 2
    assert {*asked} == {f"need {word}" for word in "cdef"}
    asked.clear()
    channel.round(exercises("ab"))  # towards a stage's end there may be no others
    assert {*asked} == {"need a", "need b"}


@pytest.mark.parametrize(
    ("most", "proposals"), [(1, 1), (4, 1), (5, 2), (8, 2), (9, 3), (0, 12), (10_000, 12)]
)
def test_a_round_spends_no_more_rollouts_than_its_budget_and_the_last_rewrite(
    most: int, proposals: int
) -> None:
    """A rewrite that does not help costs 2 + 2 rollouts, its parent's and its own."""
    policy, rewrites = ScriptedPolicy(), iter("bcdefghijklm")

    def reflector(current: str, _: Sequence[JudgedRollout]) -> Reflection:
        return Reflection(f"{current} {next(rewrites)}", REFLECTION_TOKENS)

    config = replace(CONFIG, proposals=12, round_rollouts=most, population=20)
    ledger = Ledger()
    channel = fast(policy, reflector, config, ledger=ledger)
    channel.round(exercises("zzzz"))
    assert ledger.fast.reflection_calls == ledger.fast.proposals == proposals
    spent = sum(map(len, policy.calls)) - 4
    if proposals < 12:
        assert spent - 4 < most <= spent


def test_a_score_is_the_mean_of_all_samples_of_all_exercises() -> None:
    policy = ScriptedPolicy(luck=0.5)
    config = replace(CONFIG, round_exercises=3, round_samples=40, proposals=1)
    channel = fast(policy, says("b"), config)
    channel.round(exercises("aaa"))
    assert len(policy.calls[0]) == 3 * 40
    score = channel.lineage()[0].score
    assert (score * 120) == pytest.approx(round(score * 120))
    assert 0.3 < score < 0.7
