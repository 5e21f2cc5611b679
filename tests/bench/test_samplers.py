"""vLLM against the model itself as the sampler of SmolLM2, on the processor at hand.

It runs in the environment that has vLLM: `tox -e vllm -- --benchmark-only bench/test_samplers.py`.
"""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from cl_bench.contract.errors import ModelError
from cl_bench.contract.learner import first_exercises
from cl_bench.contract.prompts import chat
from cl_bench.contract.stream import Course
from cl_bench.contract.stream_names import stream
from cl_bench.execution.settings import configure
from cl_bench.model.named import resolve
from cl_bench.model.policy import Chat, Policy

SAMPLERS = ("transformers", "vllm")
LENGTHS = (24, 128)
"""Tokens of a response, at most: those of the model's preset, and more."""


@pytest.fixture(scope="module")
def asked() -> list[Chat]:
    """A step's requests of the model's preset: 8 problems, each 8 times."""
    course = Course(stream("gym-arithmetic"), seed=0, feedback="full", problems_per_step=8)
    system = configure(learner="rl", model="smollm2").learning.seed_prompt
    exercises = first_exercises(course.batches(1, 1), 8)
    return [chat(system, exercise.prompt) for exercise in exercises for _ in range(8)]


@pytest.fixture(scope="module", params=SAMPLERS)
def policy(request: pytest.FixtureRequest) -> Policy:
    torch.set_num_threads(1)
    try:
        policy = Policy.load(resolve("smollm2"), frozen=True)
    except ModelError as error:
        pytest.skip(f"smollm2 cannot be had here: {error}")
    if request.param == "vllm":
        if find_spec("vllm") is None:
            pytest.skip("vLLM is not installed: tox -e vllm")
        from cl_bench.model.samplers.vllm import vllm_sampler

        policy.sampler = vllm_sampler(policy, memory=0.3, batch_invariant=False)
    return policy


@pytest.mark.benchmark(group="64 responses of smollm2")
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.filterwarnings("ignore")
def test_sampling(
    benchmark: BenchmarkFixture,
    policy: Policy,
    asked: list[Chat],
    length: int,
) -> None:
    tokens = 0

    def sample() -> None:
        nonlocal tokens
        torch.manual_seed(0)
        rollouts = policy.generate(asked, max_new_tokens=length, temperature=1.0)
        tokens = sum(len(rollout.completion_ids) for rollout in rollouts)

    benchmark.pedantic(sample, rounds=3, warmup_rounds=1)  # type: ignore[no-untyped-call]
    benchmark.extra_info |= {"sampler": policy.sampler.engine, "tokens": tokens}
    assert tokens > 0
