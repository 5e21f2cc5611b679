"""math: worked examples by hand, and an independent solver that reads nothing but the texts."""

from __future__ import annotations

import pytest

from cl_bench.contract.micro import Question, Slip, micro_domain

MATH = micro_domain("math")
CONVENTION = {"f": "adds 5", "g": "doubles", "h": "takes 2", "order": "left"}
EFFECT = {
    "adds 1": "1234567890",
    "adds 3": "3456789012",
    "adds 5": "5678901234",
    "takes 2": "8901234567",
    "takes 4": "6789012345",
    "doubles": "0246802468",
    "triples": "0369258147",
    "flips": "9876543210",
}


def solve(chain: tuple[str, ...], start: str, order: str) -> str:
    question = Question("", (chain, start), len(chain))
    return MATH.solve(question, CONVENTION | {"order": order}, Slip.never).text


def test_a_chain_read_from_the_left() -> None:
    assert solve(("f", "g"), "4", "left") == (
        "order left ; one f adds 5 : 4 -> 9 ; two g doubles : 9 -> 8 ; answer 8"
    )


def test_a_chain_read_from_the_right() -> None:
    assert solve(("f", "g"), "4", "right") == (
        "order right ; two g doubles : 4 -> 8 ; one f adds 5 : 8 -> 3 ; answer 3"
    )


def test_values_wrap_below_zero() -> None:
    assert solve(("h",), "1", "left") == "order left ; one h takes 2 : 1 -> 9 ; answer 9"


def test_every_meaning_does_to_every_digit_what_it_says() -> None:
    assert set(MATH.meanings["f"]) == set(EFFECT)
    for meaning, results in EFFECT.items():
        for digit, result in zip("0123456789", results, strict=True):
            question = Question("", (("f",), digit), 1)
            assert (
                MATH.solve(question, {"f": meaning, "order": "left"}, Slip.never).answer == result
            )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("setting", ["easy", "default", "hard"])
def test_the_answer_follows_from_the_prompt_and_the_rules(seed: int, setting: str) -> None:
    task = MATH.task(seed=seed, setting=setting, feedback="step")
    rules = dict(rule.split(" ", 1) for rule in task.rules())
    for problem in task.problems("test", 40):
        name, chain, value = problem.prompt.split(" : ")
        assert name == "math"
        keys = chain.split()[1::2]
        for key in keys if rules["order"] == "left" else keys[::-1]:
            value = EFFECT[rules[key]][int(value)]
        assert problem.answer == value
