"""Stock TRL with the settings that a configuration of ours has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from datasets import Dataset
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from cl_bench.contract.prompts import chat
from cl_bench.contract.stream import Course
from cl_bench.model.policy import Policy
from cl_bench.slow.settings import RLConfig


def stock_trainer(
    policy: Policy, course: Course, config: RLConfig, steps: int, folder: Path
) -> GRPOTrainer:
    """GRPOTrainer as its documentation has it, with the settings that ours has."""
    exercises = [exercise for batch in course.batches(1, steps) for exercise in batch]
    judges = {exercise.prompt: exercise.judge for exercise in exercises}

    def reward(prompts: list[Any], completions: list[Any], **_: object) -> list[float | None]:
        return [
            judges[prompt[-1]["content"]](completion[0]["content"].strip()).score
            for prompt, completion in zip(prompts, completions, strict=True)
        ]

    rows = [{"prompt": chat(config.seed_prompt, exercise.prompt)} for exercise in exercises]
    return GRPOTrainer(
        model=policy.model,
        reward_funcs=reward,
        args=_arguments(config, steps, folder),
        train_dataset=Dataset.from_list(rows),
        processing_class=policy.tokenizer,
    )


def _arguments(config: RLConfig, steps: int, folder: Path) -> GRPOConfig:
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
        max_steps=steps,
        shuffle_dataset=False,
        lr_scheduler_type="constant",
        learning_rate=config.learning_rate,
        max_grad_norm=1.0,
        per_device_train_batch_size=config.problems_per_step * config.group_size,
        num_generations=config.group_size,
        max_completion_length=config.max_new_tokens,
        temperature=config.temperature,
        loss_type="cispo",
        epsilon_high=config.ratio_cap,
        beta=0.0,
    )
