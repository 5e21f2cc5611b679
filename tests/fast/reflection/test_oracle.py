"""The extractive reflector copies rules that feedback names, and nothing else."""

from __future__ import annotations

import pytest

from cl_bench.contract.learner import Ledger
from cl_bench.contract.micro import micro_domain
from cl_bench.contract.prompts import SEED_PROMPT, instructions
from cl_bench.contract.task import Verdict
from cl_bench.fast.reflection.factory import build_reflector
from cl_bench.fast.reflection.oracle import OracleReflector
from cl_bench.fast.reflection.reflector import JudgedRollout, Reflection
from cl_bench.fast.settings import FastConfig
from cl_bench.model.policy import Policy


def after(current: str, *feedback: str) -> str:
    rollouts = [
        JudgedRollout("?", "!", Verdict(float(line.endswith("correct")), line, None))
        for line in feedback
    ]
    reflection = OracleReflector()(current, rollouts)
    assert reflection.tokens == 0
    return reflection.text


@pytest.mark.parametrize(
    ("rules", "feedback", "expected"),
    [
        ([], ["math : wrong at step 2 : f adds 5"], ["f adds 5"]),
        ([], ["math : wrong at step 2 : f adds 5 , not f doubles"], ["f adds 5"]),
        (["f doubles"], ["math : wrong at step 2 : f adds 5 , not f doubles"], ["f adds 5"]),
        (
            ["order left", "f doubles", "g halves"],
            ["math : wrong at step 1 : f adds 5", "math : wrong at step 3 : h adds 1"],
            ["order left", "f adds 5", "g halves", "h adds 1"],
        ),
        (["f adds 5"], ["math : wrong at step 1 : f adds 5"], ["f adds 5"]),
        (
            [],
            ["b : wrong at step 1 : y adds 1", "b : wrong at step 1 : x adds 1"],
            ["y adds 1", "x adds 1"],
        ),
        (
            [],
            ["a : wrong at step 1 : f adds 1", "b : wrong at step 1 : f adds 2"],
            ["f adds 1"],
        ),
    ],
)
def test_named_rules_replace_those_with_their_key_and_all_others_stay(
    rules: list[str], feedback: list[str], expected: list[str]
) -> None:
    assert after(instructions(rules), *feedback) == instructions(expected)


@pytest.mark.parametrize(
    "feedback",
    [
        "math : correct",
        "math : wrong",
        "math : wrong : answer is 8",
        "math : slip at step 2 : 4 -> 7",
        "You should add more detail; see step 2 : f adds 5",
    ],
)
def test_feedback_that_names_no_rule_changes_nothing(feedback: str) -> None:
    current = instructions(["f adds 5"])
    assert after(current, feedback) == current


@pytest.mark.parametrize(
    ("current", "expected"),
    [
        (SEED_PROMPT, f"{SEED_PROMPT} f adds 5 ;"),
        ("Think. Be brief.", "Think. Be brief. f adds 5 ;"),
        ("Think. g halves", "Think. g halves ; f adds 5 ;"),
        ("be brief", "be brief ; f adds 5 ;"),
    ],
)
def test_any_instructions_keep_their_text(current: str, expected: str) -> None:
    assert after(current, "math : wrong at step 1 : f adds 5") == expected


@pytest.mark.parametrize("name", ["math", "code", "facts", "physics", "star-graph"])
def test_every_rule_of_every_micro_domain_is_found_from_a_response_without_it(name: str) -> None:
    task = micro_domain(name).task(seed=3, setting="default", feedback="step")
    current = SEED_PROMPT
    for problem in task.problems("train", 200):
        said = problem.solution
        for rule in task.rules():  # an answer that knows only the rules found so far
            if rule not in current:
                said = said.replace(f"{rule}", "?")
        verdict = task.verify(problem, said.replace("answer", "answer no"))
        current = OracleReflector()(current, [JudgedRollout(problem.prompt, said, verdict)]).text
    quoted = {r for r in task.rules() if any(r in p.solution for p in task.problems("train", 200))}
    assert quoted
    assert {rule.strip() for rule in current.removeprefix(SEED_PROMPT).split(";")} >= quoted


def test_it_is_built_by_name_and_asks_nobody(tiny_policy: Policy) -> None:
    reflector = build_reflector(tiny_policy, FastConfig(reflection_lm="oracle"), Ledger())
    feedback = Verdict(0.0, "math : wrong at step 1 : f adds 5", None)
    assert reflector(SEED_PROMPT, [JudgedRollout("?", "!", feedback)]) == Reflection(
        instructions(["f adds 5"]), 0
    )
