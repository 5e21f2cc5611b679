"""The settings of learners that train parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from cl_bench.contract.errors import UsageError
from cl_bench.contract.learner import LearnerConfig
from cl_bench.contract.settings import setting, settings_of
from cl_bench.contract.validation import COUNTS, RATES

TeacherWeights = Literal["student", "base"]
TEACHER_WEIGHTS: tuple[TeacherWeights, ...] = get_args(TeacherWeights)
LossAverage = Literal["token", "exercise"]
LOSS_AVERAGES: tuple[LossAverage, ...] = get_args(LossAverage)


@dataclass(frozen=True)
class SlowConfig(LearnerConfig):
    """Settings of learners that train parameters."""

    learning_rate: float = setting(6e-4, "Step size of AdamW on the parameters.", RATES)
    warmup_steps: int = setting(
        0,
        "Steps over which the learning rate rises in equal parts to its value; it is constant "
        "afterwards.",
        (0, COUNTS[1]),
    )
    max_grad_norm: float = setting(
        1.0, "Norm that the gradient is cut down to; 0: no clipping.", (0.0, RATES[1])
    )

    @property
    def prompt_run(self) -> int:
        """Rollouts in a row that read the same system prompt, before the next one's turn."""
        return 1


@dataclass(frozen=True)
class TeacherConfig(SlowConfig):
    """Settings of learners whose teacher is the policy itself, which reads more.

    A setting `shown_NAME` is a text with {NAME} where that is to stand.
    """

    teacher: TeacherWeights = setting(
        "base",
        "Whose weights the teacher has: base, the frozen start; student, those of this very step.",
        choices=TEACHER_WEIGHTS,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for item in settings_of(self):
            kind, _, shown = item.name.partition("_")
            if kind == "shown" and f"{{{shown}}}" not in getattr(self, item.name):
                raise UsageError(
                    f"{item.name} is {getattr(self, item.name)!r}: write {{{shown}}} where that is "
                    "to stand."
                )


@dataclass(frozen=True)
class RLConfig(SlowConfig):
    """Settings of learners that make RL steps."""

    ratio_cap: float = setting(
        5.0,
        "CISPO's upper clip of the importance ratio (TRL's `epsilon_high`), token by token the "
        "probability now / when sampled: 1 in a batch's first epoch, unless vLLM samples.",
        RATES,
    )
    epochs_per_batch: int = setting(
        1, "Times a step learns from the same rollouts, an update each.", (1, 1_000)
    )
    loss_average: LossAverage = setting(
        "token",
        "What weighs the same in a step's loss: token, or exercise, whose own tokens are averaged "
        "first.",
        choices=LOSS_AVERAGES,
    )
    kl_beta: float = setting(
        0.0, "Weight of the KL penalty to the base, per token; 0: none.", (0.0, RATES[1])
    )
