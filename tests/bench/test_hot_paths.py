"""The hot paths of a run, one by one."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from cl_bench.contract.learner import Ledger
from cl_bench.contract.prompts import SEED_PROMPT, chat
from cl_bench.contract.registry import LEARNERS
from cl_bench.contract.stream import Course
from cl_bench.model.policy import Policy, Rollout
from cl_bench.slow.settings import RLConfig

CONFIG = RLConfig()


def sample(policy: Policy, course: Course) -> list[Rollout]:
    problems = course.evaluation_task("math").problems("test", 128)
    chats = [chat(SEED_PROMPT, problem.prompt) for problem in problems]
    return policy.generate(chats, max_new_tokens=CONFIG.max_new_tokens)


def test_sampling_128_responses(
    benchmark: BenchmarkFixture, policy: Policy, course: Course
) -> None:
    benchmark.pedantic(sample, (policy, course), rounds=5, warmup_rounds=1)  # type: ignore[no-untyped-call]


def test_divergence_along_128_responses(
    benchmark: BenchmarkFixture, policy: Policy, course: Course
) -> None:
    rollouts = sample(policy, course)
    benchmark.pedantic(policy.divergence, (rollouts,), rounds=5, warmup_rounds=1)  # type: ignore[no-untyped-call]


@pytest.mark.benchmark(group="six steps of a learner")
@pytest.mark.parametrize("learner", ["rl", "prompt", "fst"])
def test_six_steps(
    benchmark: BenchmarkFixture, policy: Policy, course: Course, learner: str
) -> None:
    driven = LEARNERS.load(learner).build(policy, CONFIG, Ledger())
    batches = course.batches(1, 6)
    benchmark.pedantic(lambda: list(driven.learn(batches)), rounds=3, warmup_rounds=1)  # type: ignore[no-untyped-call]
