"""facts: worked examples by hand, and an independent solver that reads nothing but the texts."""

from __future__ import annotations

import pytest

from cl_bench.contract.micro import Question, Slip, micro_domain

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


def test_half_of_the_claims_are_true_so_that_no_constant_answer_pays() -> None:
    """Claims drawn at random were true one time in six, and always denying them scored 0.83."""
    for seed in range(3):
        task = micro_domain("facts").task(seed=seed, setting="default", feedback="none")
        problems = task.problems("train", 600)
        for word in ("true", "false"):
            rule = next(rule for rule in task.rules() if rule.startswith(word))
            constant = f"answer {rule.split()[-1]}"
            score = sum(task.verify(problem, constant).score for problem in problems) / 600
            assert 0.42 < score < 0.58
