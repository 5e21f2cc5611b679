"""SDFT: the policy that has read a solution teaches the policy that has not.

Self-distillation fine-tuning (Shenfeld et al., "Self-Distillation Enables Continual Learning",
arXiv 2601.19897): the student samples its own responses under the seed prompt; the teacher, the
same model with the gold solution of the very problem in its context, gives the next token's
distribution at each of their tokens; the loss is the reverse divergence D_KL(student ‖ teacher),
exact over the vocabulary, by `cl_bench.slow.distillation`. It learns from what `sft` learns from,
on-policy: what the student never says is not fitted, which is to spare what it knew. Departures
from the source, from whose code this is independent:

- the teacher's weights are those of the frozen start, or with `teacher = "student"` the student's
  own at each step, where the paper averages the student's over time: that would need another copy
  of them. On the embedded model a teacher that moves with its student took both to pieces within 40
  steps (math-to-code, seed 0: KL 0.1, then 2.6 and 5.7 nats a token), where one that stays gives
  62 % on average, 11 points of forgetting and a KL of 0.2 (`sft`: 64 %, 40 points, 3.2);
- the solution stands at the end of the system prompt (`shown_solution`), not in the user's message:
  the embedded model reads hints there, and a template that refuses system messages has it in front
  of the problem;
- G responses to every problem, as in `rl`, where the paper takes one;
- no first tokens of a response are left out of the loss;
- what the teacher reads has to leave room for the response: else it teaches nothing there.

What a solution is, is the domain's: see `cl_bench.baselines.sft`. The rewards of the student's
responses are recorded, and nothing is learned from them. It needs a model that can use an example
in its context; the authors find it to fail for small ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cl_bench.contract.learner import LearnerFactory, Ledger, solution_of
from cl_bench.contract.settings import setting
from cl_bench.slow.settings import TeacherConfig
from cl_bench.slow.slow_only import SelfTaught

if TYPE_CHECKING:
    from cl_bench.model.policy import Policy
    from cl_bench.slow.distillation import Attempt

_SOLUTION = "{solution}"


@dataclass(frozen=True)
class SDFTConfig(TeacherConfig):
    """Settings of sdft."""

    shown_solution: str = setting(
        f" {_SOLUTION} ;",
        "What follows the seed prompt in the teacher's; {solution} stands for the exercise's.",
    )


class SDFT(SelfTaught):
    """One step a batch, towards the policy that has read the solutions."""

    name = "sdft"

    def __init__(self, policy: Policy, config: SDFTConfig, ledger: Ledger) -> None:
        super().__init__(policy, config, ledger)
        self._shown = config.shown_solution

    def _teach(self, attempts: Sequence[Attempt]) -> list[str | None]:
        exercises = [attempt.exercise for attempt in attempts]
        return [
            self._prompt_with(self._shown.replace(_SOLUTION, solution_of(exercise)), exercise)
            for exercise in exercises
        ]


SDFT_FACTORY = LearnerFactory(SDFT, SDFTConfig, ("slow",), "SDFT", from_solutions=True)
