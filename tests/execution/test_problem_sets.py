"""What evaluations ask: distinct problems, in the settings and under the conventions they say."""

from __future__ import annotations

import pytest

from cl_bench.contract.registry import DOMAINS
from cl_bench.contract.stream import Course
from cl_bench.contract.stream_names import stream
from cl_bench.execution.problem_sets import (
    ProblemSet,
    distinct_problems,
    greedy_set,
    harder_set,
    stream_set,
    validation_set,
)

NAMES = tuple(DOMAINS.table)


def course(name: str, setting: str) -> Course:
    named = stream(name, setting=setting)
    return Course(named, seed=3, feedback="none", problems_per_step=1)


def texts(problems: ProblemSet) -> list[str]:
    return [item.problem.prompt for item in problems.items]


def test_no_test_problem_counts_twice() -> None:
    task = DOMAINS.load("math").task(seed=0, setting="easy", feedback="none")
    drawn = [problem.prompt for problem in task.problems("test", 20 * 64)]
    found = [problem.prompt for problem in distinct_problems(task, 64)]
    assert len(drawn) > len(found) == len(set(found)) == len(set(drawn))
    assert found[:5] == list(dict.fromkeys(drawn))[:5]
    assert len(distinct_problems(task, 3)) == 3


@pytest.mark.parametrize("name", NAMES)
def test_the_harder_set_is_of_the_last_setting_and_the_same_seed(name: str) -> None:
    domain, made = DOMAINS.load(name), course(name, "default")
    harder = harder_set(made, domain, 8, 2)
    assert harder is not None
    assert harder.label == {"domain": name, "test_set": "harder", "setting": "hard"}
    assert texts(harder) == texts(stream_set(course(name, "hard"), name, 8, 2))
    assert harder.key != stream_set(made, name, 8, 2).key
    assert harder_set(course(name, "hard"), domain, 8, 2) is None


@pytest.mark.parametrize("name", NAMES)
def test_default_and_hard_share_the_convention_of_a_seed(name: str) -> None:
    for seed in range(5):
        default, hard = (
            DOMAINS.load(name).task(seed=seed, setting=setting, feedback="none").rules()
            for setting in ("default", "hard")
        )
        assert default == hard


@pytest.mark.parametrize("name", NAMES)
def test_validation_problems_are_others_of_the_same_task_and_greedy_ones_the_same(
    name: str,
) -> None:
    made = course(name, "default")
    own, asked = stream_set(made, name, 8, 4), validation_set(made, name, 8, 4)
    assert len(texts(asked)) == len(set(texts(asked))) == 8
    assert not set(texts(asked)) & set(texts(stream_set(made, name, 200, 4)))
    greedy = greedy_set(own)
    assert (greedy.items, greedy.samples) == (own.items, 1)
    assert len({problems.key for problems in (own, asked, greedy)}) == 3
    assert own.diverges
    assert not asked.diverges
    assert not greedy.diverges


def test_the_setting_is_that_of_the_domain_s_first_stage() -> None:
    made = course("math-to-code-to-math", "easy")
    assert stream_set(made, "math", 2, 1).setting == "easy"
    assert made.evaluation_setting("code") == "easy"


def test_problems_under_a_prompt_differ_in_nothing_else() -> None:
    made = stream_set(course("math", "easy"), "math", 3, 1)
    asked = made.under("do this .")
    assert {item.system for item in asked.items} == {"do this ."}
    assert texts(asked) == texts(made)
    assert asked.label == made.label
