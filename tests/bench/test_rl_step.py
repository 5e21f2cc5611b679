"""Six RL steps: ours against stock TRL on the same model, problems and judge."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from trl.trainer.grpo_trainer import GRPOTrainer

from cl_bench.contract.learner import Ledger
from cl_bench.contract.prompts import SEED_PROMPT
from cl_bench.contract.stream import Course
from cl_bench.model.policy import Policy
from cl_bench.slow.settings import RLConfig
from cl_bench.slow.slow_weights import SlowWeights
from tests.bench.stock import stock_trainer

CONFIG = RLConfig()
STEPS = 6
ROUNDS = 5


@pytest.mark.benchmark(group="six RL steps")
def test_ours(
    benchmark: BenchmarkFixture, policy: Policy, course: Course, medians: dict[str, float]
) -> None:
    slow = SlowWeights(policy, CONFIG, Ledger())

    def steps() -> None:
        assert len(list(slow.steps(course.batches(1, STEPS), [SEED_PROMPT]))) == STEPS

    benchmark.pedantic(steps, rounds=ROUNDS, warmup_rounds=1)  # type: ignore[no-untyped-call]
    medians["rl step"] = cast(Any, benchmark).stats.stats.median


@pytest.mark.benchmark(group="six RL steps")
@pytest.mark.filterwarnings("ignore")
def test_stock_trl(
    benchmark: BenchmarkFixture,
    policy: Policy,
    course: Course,
    tmp_path: Path,
    slower_than_ours: Callable[[str, float], None],
) -> None:
    def fresh() -> tuple[tuple[GRPOTrainer], dict[str, Any]]:
        return (stock_trainer(policy, course, CONFIG, STEPS, tmp_path),), {}

    benchmark.pedantic(GRPOTrainer.train, setup=fresh, rounds=ROUNDS, warmup_rounds=1)  # type: ignore[no-untyped-call]
    slower_than_ours("rl step", 1.0)
