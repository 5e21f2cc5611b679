"""Scoring 64 test problems once: ours against `generate` and lm-evaluation-harness."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from cl_bench.contract.prompts import SEED_PROMPT, chat
from cl_bench.contract.stream import Course
from cl_bench.contract.task import Problem
from cl_bench.execution.problem_sets import distinct_problems
from cl_bench.model.policy import Policy
from cl_bench.slow.settings import RLConfig

LONGEST = RLConfig().max_new_tokens
GROUP = pytest.mark.benchmark(group="evaluating 64 problems")
SAMPLING: dict[str, Any] = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}


@pytest.fixture(scope="session")
def problems(course: Course) -> list[Problem]:
    return distinct_problems(course.evaluation_task("math"), 64)


def measure(
    benchmark: BenchmarkFixture,
    course: Course,
    problems: Sequence[Problem],
    respond: Callable[[], list[str]],
    rounds: int = 5,
) -> None:
    verify = course.evaluation_task("math").verify

    def score() -> float:
        responses = respond()
        verdicts = [verify(p, text.strip()) for p, text in zip(problems, responses, strict=True)]
        return sum(verdict.score for verdict in verdicts) / len(problems)

    share = benchmark.pedantic(score, rounds=rounds, warmup_rounds=1)  # type: ignore[no-untyped-call]
    benchmark.extra_info["accuracy"] = share
    assert 0.0 <= share < 0.6  # the untrained model under the seed prompt guesses


@GROUP
def test_ours(
    benchmark: BenchmarkFixture,
    policy: Policy,
    course: Course,
    problems: list[Problem],
    medians: dict[str, float],
) -> None:
    chats = [chat(SEED_PROMPT, problem.prompt) for problem in problems]

    def respond() -> list[str]:
        return [rollout.text for rollout in policy.generate(chats, max_new_tokens=LONGEST)]

    measure(benchmark, course, problems, respond)
    medians["evaluation"] = cast(Any, benchmark).stats.stats.median


@GROUP
def test_generate_problem_by_problem(
    benchmark: BenchmarkFixture,
    policy: Policy,
    course: Course,
    problems: list[Problem],
    slower_than_ours: Callable[[str, float], None],
) -> None:
    tokenizer, model = policy.tokenizer, policy.model.train(False)
    prompts = policy.encode([chat(SEED_PROMPT, problem.prompt) for problem in problems])

    def respond() -> list[str]:
        texts: list[str] = []
        for ids in prompts:
            output = model.generate(
                input_ids=torch.tensor([ids]),
                attention_mask=torch.ones(1, len(ids), dtype=torch.long),
                max_new_tokens=LONGEST,
                pad_token_id=tokenizer.pad_token_id,
                **SAMPLING,
            )
            completion = output[:, len(ids) :]
            texts += tokenizer.batch_decode(completion, skip_special_tokens=True)
        return texts

    measure(benchmark, course, problems, respond, rounds=3)
    slower_than_ours("evaluation", 3.0)


@GROUP
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("batch_size", [1, 64])
def test_lm_evaluation_harness(
    benchmark: BenchmarkFixture,
    policy: Policy,
    course: Course,
    problems: list[Problem],
    slower_than_ours: Callable[[str, float], None],
    batch_size: int,
) -> None:
    pytest.importorskip("lm_eval", reason="needs `pip install 'cl-bench[bench]'`")
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    harness = HFLM(
        pretrained=policy.model.train(False), tokenizer=policy.tokenizer, batch_size=batch_size
    )
    options = {"until": [policy.tokenizer.eos_token], "max_gen_toks": LONGEST, **SAMPLING}
    requests = [
        Instance(
            request_type="generate_until",
            doc={},
            arguments=(harness.apply_chat_template(chat(SEED_PROMPT, problem.prompt)), options),
            idx=0,
        )
        for problem in problems
    ]

    def respond() -> list[str]:
        return list(harness.generate_until(requests, disable_tqdm=True))

    measure(benchmark, course, problems, respond, rounds=3)
    slower_than_ours("evaluation", 0.0)
