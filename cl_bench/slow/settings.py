"""The settings of learners that train parameters."""

from __future__ import annotations

from dataclasses import dataclass

from cl_bench.contract.learner import LearnerConfig
from cl_bench.contract.settings import setting
from cl_bench.contract.validation import RATES


@dataclass(frozen=True)
class SlowConfig(LearnerConfig):
    """Settings of learners that train parameters."""

    learning_rate: float = setting(6e-4, "Step size of AdamW on the parameters (constant).", RATES)

    @property
    def prompt_run(self) -> int:
        """Rollouts in a row that read the same system prompt, before the next one's turn."""
        return 1


@dataclass(frozen=True)
class RLConfig(SlowConfig):
    """Settings of learners that make RL steps."""

    ratio_cap: float = setting(
        5.0, "CISPO's upper clip of the importance ratio (TRL's `epsilon_high`).", RATES
    )
