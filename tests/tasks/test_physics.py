"""physics: worked examples by hand, and an independent solver that reads nothing but the texts."""

from __future__ import annotations

import pytest

from cl_bench.contract.micro import Question, Slip, micro_domain

PHYSICS = micro_domain("physics")
CONVENTION = {"lok": "is 3", "mip": "is 7", "zet": "is 1"}


def move(moves: tuple[tuple[str, str], ...], start: str, down: str) -> str:
    question = Question("", (moves, start), len(moves))
    return PHYSICS.solve(question, CONVENTION | {"down": down}, Slip.never).text


def test_up_adds_and_down_takes_under_the_usual_sign() -> None:
    assert move((("up", "lok"), ("down", "mip")), "4", "takes") == (
        "one up adds : lok is 3 : 4 -> 7 ; two down takes : mip is 7 : 7 -> 0 ; answer 0"
    )


@pytest.mark.parametrize(("down", "result"), [("takes", "5"), ("adds", "9"), ("skips", "2")])
def test_the_sign_convention_decides_what_down_does(down: str, result: str) -> None:
    assert move((("down", "mip"),), "2", down) == (
        f"one down {down} : mip is 7 : 2 -> {result} ; answer {result}"
    )


def test_the_sign_convention_leaves_up_alone() -> None:
    assert move((("up", "mip"),), "8", "skips") == "one up adds : mip is 7 : 8 -> 5 ; answer 5"


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("setting", ["easy", "default", "hard"])
def test_the_answer_follows_from_the_prompt_and_the_rules(seed: int, setting: str) -> None:
    task = PHYSICS.task(seed=seed, setting=setting, feedback="step")
    rules = dict(rule.split(" ", 1) for rule in task.rules())
    signs = {"adds": 1, "takes": -1, "skips": 0}
    for problem in task.problems("test", 40):
        name, listing, start = problem.prompt.split(" : ")
        assert name == "physics"
        words = listing.split()
        value = int(start)
        for way, unit in zip(words[1::3], words[2::3], strict=True):
            sign = 1 if way == "up" else signs[rules["down"]]
            value += sign * int(rules[unit].removeprefix("is "))
        assert problem.answer == str(value % 10)
