"""The evaluator: what a row means, and that measuring changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cl_bench.evaluator import Evaluation, EvaluationConfig, Evaluator, distinct_problems
from cl_bench.policy import Chat, Policy, Rollout
from cl_bench.prompts import SEED_PROMPT
from cl_bench.registry import DOMAINS
from cl_bench.stream import Course, stream

CONFIG = EvaluationConfig(items=6, samples=4, max_new_tokens=12, retention_items=10)
OUTSIDE = ("facts", "star-graph")


@pytest.fixture
def policy(tiny_model: Path) -> Policy:
    return Policy.load(str(tiny_model))


def evaluator(policy: Policy, seed: int = 0) -> Evaluator:
    course = Course(stream("math-to-code"), seed=seed, feedback="step", problems_per_step=4)
    tasks = {domain: course.evaluation_task(domain) for domain in ("math", "code")}
    return Evaluator(policy, tasks, CONFIG, seed, OUTSIDE)


def perturb(policy: Policy) -> None:
    with torch.no_grad():
        for parameter in policy.model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))


def rows(evaluation: Evaluation) -> dict[tuple[object, object], dict[str, object]]:
    return {(row["domain"], row["prompt"]): row for row in evaluation.evaluations}


def test_every_domain_is_scored_under_both_prompts(policy: Policy) -> None:
    evaluation = evaluator(policy).evaluate(3, "solve step by step . f adds 5 ;")
    cells = rows(evaluation)
    assert set(cells) == {(d, p) for d in ("math", "code") for p in ("seed", "learner")}
    assert len(evaluation.items) == 4 * CONFIG.items * CONFIG.samples
    assert {row["step"] for row in evaluation.evaluations} == {3}


def test_accuracy_is_the_mean_of_the_item_rows(policy: Policy) -> None:
    policy.generate = _gold_for_even_items(policy)  # type: ignore[method-assign]
    evaluation = evaluator(policy).evaluate(0, SEED_PROMPT)
    for row in evaluation.evaluations:
        scores = [
            float(str(item["score"]))
            for item in evaluation.items
            if (item["domain"], item["prompt"]) == (row["domain"], row["prompt"])
        ]
        assert row["accuracy"] == sum(scores) / len(scores) == 0.5


def test_the_untrained_policy_has_no_divergence_in_any_cell(policy: Policy) -> None:
    for row in evaluator(policy).evaluate(0, "other instructions").evaluations:
        assert row["kl_policy_base"] == row["kl_base_policy"] == 0.0
        assert float(str(row["entropy"])) > 0.0


def test_a_trained_policy_diverges_in_both_directions_under_both_prompts(policy: Policy) -> None:
    perturb(policy)
    for row in evaluator(policy).evaluate(1, "other instructions").evaluations:
        assert float(str(row["kl_policy_base"])) > 0.0
        assert float(str(row["kl_base_policy"])) > 0.0


def test_evaluating_leaves_the_random_state_of_training_alone(policy: Policy) -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state()
    evaluator(policy).evaluate(0, "other instructions")
    assert torch.equal(torch.get_rng_state(), before)


def test_a_point_gives_the_same_rows_whatever_was_evaluated_before(policy: Policy) -> None:
    perturb(policy)
    alone = evaluator(policy).evaluate(7, "other instructions")
    used = evaluator(policy)
    used.evaluate(5, "earlier instructions")
    used.evaluate(6, "other instructions")
    assert used.evaluate(7, "other instructions") == alone


def test_an_unchanged_prompt_is_sampled_once_for_both_kinds(policy: Policy) -> None:
    cells = rows(evaluator(policy).evaluate(2, SEED_PROMPT))
    for domain in ("math", "code"):
        seed, learner = dict(cells[domain, "seed"]), dict(cells[domain, "learner"])
        assert seed.pop("prompt") != learner.pop("prompt")
        assert seed == learner


def test_retention_items_state_a_convention_of_their_own(policy: Policy) -> None:
    asked: list[Chat] = []
    sample = policy.generate

    def generate(chats: Sequence[Chat], **options: Any) -> list[Rollout]:
        asked.extend(chats)
        return sample(chats, **options)

    policy.generate = generate  # type: ignore[method-assign]
    evaluation = evaluator(policy).evaluate(0, SEED_PROMPT, retention=True)
    stated = [row for row in evaluation.evaluations if row["prompt"] == "stated"]
    assert [row["domain"] for row in stated] == list(OUTSIDE)
    assert {(row["n_items"], row["n_samples"]) for row in stated} == {(10, 1)}
    systems = [chat[0]["content"] for chat in asked if chat[1]["content"].startswith("facts :")]
    rules = DOMAINS.load("facts").task(seed=0, setting="easy", feedback="none").rules()
    keys = {rule.split()[0] for rule in rules}
    for system in systems:
        assert system.startswith(SEED_PROMPT)
        assert {rule.split()[0] for rule in system.removeprefix(SEED_PROMPT).split(" ; ")} == keys
    assert len(set(systems)) > 1
    uids = [item["uid"] for item in evaluation.items if item["domain"] == "facts"]
    assert len(set(uids)) == 10


def test_retention_is_evaluated_only_when_asked_for(policy: Policy) -> None:
    evaluation = evaluator(policy).evaluate(0, SEED_PROMPT)
    assert {row["prompt"] for row in evaluation.evaluations} == {"seed", "learner"}


def test_no_test_problem_counts_twice() -> None:
    task = DOMAINS.load("math").task(seed=0, setting="easy", feedback="none")
    drawn = [problem.prompt for problem in task.problems("test", 20 * 64)]
    found = [problem.prompt for problem in distinct_problems(task, 64)]
    assert len(drawn) > len(found) == len(set(found)) == len(set(drawn))
    assert found[:5] == list(dict.fromkeys(drawn))[:5]
    assert len(distinct_problems(task, 3)) == 3


def _gold_for_even_items(policy: Policy) -> Callable[..., list[Rollout]]:
    """A `generate` that answers test problems 0, 2, 4 … with their gold solutions."""
    course = Course(stream("math-to-code"), seed=0, feedback="step", problems_per_step=4)
    solutions = {
        problem.prompt: problem.solution if i % 2 == 0 else "answer nothing"
        for domain in ("math", "code")
        for i, problem in enumerate(course.evaluation_task(domain).problems("test", CONFIG.items))
    }
    sample = policy.generate

    def generate(chats: Sequence[Chat], **options: Any) -> list[Rollout]:
        return [
            replace(rollout, text=solutions[chat[-1]["content"]])
            for rollout, chat in zip(sample(chats, **options), chats, strict=True)
        ]

    return generate
