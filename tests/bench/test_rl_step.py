"""Six RL steps: ours against stock TRL on the same model, problems and judge."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from datasets import Dataset
from pytest_benchmark.fixture import BenchmarkFixture
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from cl_bench.learner import LearnerConfig, Ledger
from cl_bench.policy import Policy
from cl_bench.prompts import SEED_PROMPT, chat
from cl_bench.slow import SlowWeights
from cl_bench.stream import Course

CONFIG = LearnerConfig()
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
        return (stock_trainer(policy, course, tmp_path),), {}

    benchmark.pedantic(GRPOTrainer.train, setup=fresh, rounds=ROUNDS, warmup_rounds=1)  # type: ignore[no-untyped-call]
    slower_than_ours("rl step", 1.0)


def stock_trainer(policy: Policy, course: Course, folder: Path) -> GRPOTrainer:
    """GRPOTrainer as its documentation has it, with the settings that ours has."""
    exercises = [exercise for batch in course.batches(1, STEPS) for exercise in batch]
    judges = {exercise.prompt: exercise.judge for exercise in exercises}

    def reward(prompts: list[Any], completions: list[Any], **_: object) -> list[float | None]:
        return [
            judges[prompt[-1]["content"]](completion[0]["content"].strip()).score
            for prompt, completion in zip(prompts, completions, strict=True)
        ]

    rows = [{"prompt": chat(SEED_PROMPT, exercise.prompt)} for exercise in exercises]
    return GRPOTrainer(
        model=policy.model,
        reward_funcs=reward,
        args=arguments(folder),
        train_dataset=Dataset.from_list(rows),
        processing_class=policy.tokenizer,
    )


def arguments(folder: Path) -> GRPOConfig:
    return GRPOConfig(
        output_dir=str(folder),
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        dataloader_pin_memory=False,
        report_to=[],
        disable_tqdm=True,
        log_level="error",
        logging_strategy="no",
        save_strategy="no",
        max_steps=STEPS,
        shuffle_dataset=False,
        lr_scheduler_type="constant",
        learning_rate=CONFIG.learning_rate,
        max_grad_norm=1.0,
        per_device_train_batch_size=CONFIG.problems_per_step * CONFIG.group_size,
        num_generations=CONFIG.group_size,
        max_completion_length=CONFIG.max_new_tokens,
        temperature=CONFIG.temperature,
        loss_type="cispo",
        epsilon_high=CONFIG.ratio_cap,
        beta=0.0,
    )
