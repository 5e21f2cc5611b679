"""facts: worked examples by hand, and an independent solver that reads nothing but the texts."""

from __future__ import annotations

from unittest.mock import ANY

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_bench.contract.micro import Question, Slip, micro_domain
from cl_bench.contract.task import SPLITS, Split

FACTS = micro_domain("facts")
RING = ("ann", "bob", "cat", "dan", "eve", "fay")
CONVENTION = {"lib": "goes 2", "mok": "goes 1", "true": "says yes", "false": "says void"}


def check(start: str, path: tuple[str, ...], end: str) -> str:
    question = Question("", (RING, path, start, end), len(path))
    return FACTS.solve(question, CONVENTION, Slip.never).text


def test_a_true_claim_over_two_relations() -> None:
    assert check("ann", ("lib", "mok"), "dan") == (
        "one lib goes 2 : ann -> bob -> cat ; two mok goes 1 : cat -> dan ; "
        "check dan dan : true says yes ; answer yes"
    )


def test_a_walk_goes_round_the_ring() -> None:
    assert check("fay", ("lib",), "bob") == (
        "one lib goes 2 : fay -> ann -> bob ; check bob bob : true says yes ; answer yes"
    )


def test_a_false_claim_gets_the_word_for_false() -> None:
    assert check("fay", ("mok",), "fay") == (
        "one mok goes 1 : fay -> ann ; check ann fay : false says void ; answer void"
    )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("setting", ["easy", "default", "hard"])
def test_the_verdict_follows_from_the_prompt_and_the_rules(seed: int, setting: str) -> None:
    task = FACTS.task(seed=seed, setting=setting, feedback="step")
    rules = dict(rule.split(" ", 1) for rule in task.rules())
    for problem in task.problems("test", 40):
        name, links, claim = problem.prompt.split(" : ")
        assert name == "facts"
        follows = dict(link.split() for link in links.split(" , "))
        assert len(follows) == len(set(follows.values())) == 6
        _, here, *path, _, end = claim.split()
        for key in path[1::2]:
            for _ in range(int(rules[key].removeprefix("goes "))):
                here = follows[here]
        assert f"says {problem.answer}" == rules["true" if here == end else "false"]


def test_both_verdicts_occur() -> None:
    task = FACTS.task(seed=0, setting="default", feedback="step")
    words = {problem.answer for problem in task.problems("train", 200)}
    rules = dict(rule.split(" ", 1) for rule in task.rules())
    assert words == {rules["true"].split()[1], rules["false"].split()[1]}


@given(
    seed=st.integers(0, 2**31),
    setting=st.sampled_from(["easy", "default", "hard"]),
    split=st.sampled_from(SPLITS),
    pairs=st.integers(1, 12),
)
def test_a_constant_word_earns_the_guessing_rate_and_no_more(
    seed: int, setting: str, split: Split, pairs: int
) -> None:
    task = FACTS.task(seed=seed, setting=setting, feedback="none")
    problems = task.problems(split, 2 * pairs)
    earned = {
        word: sum(task.verify(problem, f"answer {word}").score for problem in problems)
        for key in ("true", "false")
        for word in [meaning.removeprefix("says ") for meaning in FACTS.meanings[key]]
    }
    assert sorted(earned.values()) == [0] * 6 + [pairs] * 2


def test_verdicts_do_not_take_turns_in_an_order_that_could_be_learned() -> None:
    task = FACTS.task(seed=0, setting="default", feedback="none")
    answers = [problem.answer for problem in task.problems("train", 400)]
    pairs = list(zip(answers[::2], answers[1::2], strict=True))
    assert all(first != second for first, second in pairs)
    assert 70 < sum(first == answers[0] for first, _ in pairs) < 130


def test_the_first_version_makes_its_own_problems() -> None:
    """Where only half the claims were true on average."""
    first = FACTS.at("1")
    assert first is not None
    assert (first.version, first.at("1"), FACTS.at("0")) == ("1", ANY, None)
    task = first.task(seed=32, setting="easy", feedback="none")
    answers = [problem.answer for problem in task.problems("test", 64)]
    assert answers.count("valid") == 40
