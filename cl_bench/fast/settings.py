"""The settings of learners that evolve prompts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cl_bench.contract.learner import LearnerConfig
from cl_bench.contract.settings import setting
from cl_bench.contract.validation import COUNTS, RATES
from cl_bench.fast.reflection.spec import ReflectionLM


@dataclass(frozen=True)
class FastConfig(LearnerConfig):
    """Settings of learners that evolve prompts."""

    population: int = setting(4, "System prompts kept (K).", (1, 1_000))
    proposals: int = setting(5, "Rewrites proposed in one round.", (1, 10_000))
    reflection_batch: int = setting(
        3, "Rollouts whose feedback one rewrite is based on.", (1, 1_000)
    )
    round_exercises: int = setting(
        16, "Exercises on which a round scores every prompt.", (1, 100_000)
    )
    round_rollouts: int = setting(
        0,
        "Rollouts (metric calls) after which a round makes no further rewrite, those that score "
        "its population apart; 0: only `proposals` limits it.",
        (0, 10**9),
    )
    round_samples: int = setting(
        1,
        "Responses to each of these exercises, of which a score is the mean.",
        (1, 1_000),
    )
    feedback_exercises: int = setting(
        0,
        "Further exercises that feedback comes from; 0: it comes from those that score.",
        (0, 100_000),
    )
    refill: bool = setting(
        True, "Fill a Pareto frontier of fewer than K prompts with the next best by mean."
    )
    reflection_lm: str = setting(
        "base",
        "Who rewrites prompts: base, digest, oracle, local:NAME, openai:MODEL[@URL] or "
        "litellm:NAME[@URL].",
    )
    reflection_timeout: float = setting(60.0, "Seconds an endpoint has for an answer.", RATES)
    reflection_retries: int = setting(
        3, "Further attempts after a failed reflection, before it is skipped.", (0, 1_000)
    )
    reflection_token_budget: int = setting(
        0, "Tokens that reflection may read and write in a run; 0: no limit.", (0, 10**15)
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        ReflectionLM.parse(self.reflection_lm)

    @property
    def exercises_ahead(self) -> int:
        return self.round_exercises + self.feedback_exercises


def reflection_lm(config: LearnerConfig) -> ReflectionLM:
    """Return the reflection LM of a learner; `base` for one that evolves no prompts."""
    return ReflectionLM.parse(config.reflection_lm if isinstance(config, FastConfig) else "base")


@dataclass(frozen=True)
class PeriodicRoundsConfig(FastConfig):
    """Settings of learners whose rounds come every few steps."""

    round_every: int = setting(6, "Steps between two rounds of the prompt optimiser (T).", COUNTS)


@dataclass(frozen=True)
class ConsecutiveRoundsConfig(FastConfig):
    """Settings of learners that make all rounds in a row."""

    AT_EVERY_EVALUATION: ClassVar[bool] = False
    """Whether they are made anew at every evaluation, and not once."""
    # As many as a round every 6 steps makes in a stage of 80.
    consecutive_rounds: int = setting(14, "Rounds in a row.", (1, 10_000))
