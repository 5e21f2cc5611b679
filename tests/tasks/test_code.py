"""code: worked examples by hand, and an independent solver that reads nothing but the texts."""

from __future__ import annotations

import pytest

from cl_bench.contract.micro import Question, Slip, micro_domain

CODE = micro_domain("code")


def run(program: tuple[str, ...], x: str, y: str, **convention: str) -> str:
    question = Question("", (program, x, y), len(program))
    return CODE.solve(question, convention, Slip.never).text


def test_instructions_run_in_the_order_of_the_listing() -> None:
    assert run(("foo", "bar"), "7", "5", foo="sums", bar="swaps") == (
        "one foo sums : 7 5 -> 2 5 ; two bar swaps : 2 5 -> 5 2 ; answer 5 2"
    )
    assert run(("bar", "foo"), "7", "5", foo="sums", bar="swaps") == (
        "one bar swaps : 7 5 -> 5 7 ; two foo sums : 5 7 -> 2 7 ; answer 2 7"
    )


@pytest.mark.parametrize(
    ("meaning", "result"),
    [
        ("swaps", "8 7"),
        ("sums", "5 8"),
        ("bumps", "8 8"),
        ("copies", "7 7"),
        ("subtracts", "9 8"),
        ("halves", "3 8"),
    ],
)
def test_each_meaning_on_seven_and_eight(meaning: str, result: str) -> None:
    assert (
        run(("qux",), "7", "8", qux=meaning)
        == f"one qux {meaning} : 7 8 -> {result} ; answer {result}"
    )


def test_registers_wrap_above_nine() -> None:
    assert run(("foo",), "9", "0", foo="bumps") == "one foo bumps : 9 0 -> 0 0 ; answer 0 0"


def interpret(meaning: str, x: int, y: int) -> tuple[int, int]:
    if meaning == "swaps":
        return y, x
    return {
        "sums": (x + y) % 10,
        "bumps": (x + 1) % 10,
        "copies": x,
        "subtracts": (x - y) % 10,
        "halves": x // 2,
    }[meaning], (x if meaning == "copies" else y)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("setting", ["easy", "default", "hard"])
def test_the_answer_follows_from_the_prompt_and_the_rules(seed: int, setting: str) -> None:
    task = CODE.task(seed=seed, setting=setting, feedback="step")
    rules = dict(rule.split(" ", 1) for rule in task.rules())
    for problem in task.problems("test", 40):
        name, program, registers = problem.prompt.split(" : ")
        assert name == "code"
        x, y = map(int, registers.split())
        for key in program.split()[1::2]:
            x, y = interpret(rules[key], x, y)
        assert problem.answer == f"{x} {y}"
