"""The texts that all learners share."""

from __future__ import annotations

from cl_bench.contract.prompts import (
    REFLECTION_PROMPT,
    SEED_PROMPT,
    chat,
    in_turn,
    instructions,
    reflection,
)
from cl_bench.contract.registry import DOMAINS


def test_instructions_without_rules_are_the_seed_prompt() -> None:
    assert instructions([]) == SEED_PROMPT == "solve step by step ."


def test_each_rule_is_ended_by_a_semicolon() -> None:
    assert instructions(["f adds 5", "order left"]) == (
        "solve step by step . f adds 5 ; order left ;"
    )


def test_the_seed_prompt_gives_no_rule_away() -> None:
    for name in DOMAINS:
        for rule in DOMAINS.load(name).task(seed=0, setting="easy", feedback="step").rules():
            assert rule.split()[0] not in SEED_PROMPT.split()


def test_a_chat_has_the_system_prompt_before_the_problem() -> None:
    assert chat("be brief", "math : one f : 4") == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "math : one f : 4"},
    ]


def test_an_empty_system_prompt_is_left_out() -> None:
    assert chat("", "hello") == [{"role": "user", "content": "hello"}]


def test_a_reflection_shows_the_instructions_and_then_every_verdict() -> None:
    verdicts = ["math : correct", "math : wrong at step 1 : order left"]
    assert reflection("solve step by step . f adds 5 ;", verdicts) == [
        {"role": "system", "content": REFLECTION_PROMPT},
        {
            "role": "user",
            "content": "instructions : solve step by step . f adds 5 ; feedback : math : correct "
            "feedback : math : wrong at step 1 : order left",
        },
    ]


def test_prompts_are_read_in_turn_one_rollout_or_several_at_a_time() -> None:
    assert in_turn("abc", range(4, 8)) == ["b", "c", "a", "b"]
    assert in_turn("abc", range(4, 12), run=4) == ["b"] * 4 + ["c"] * 4
