"""SDPO: the policy that has read the verdict on a response teaches the policy that gave it.

Self-distillation policy optimization (Hübotter et al., "Reinforcement Learning via
Self-Distillation", arXiv 2601.20802): the student answers every problem G times; over each response
the teacher, the same model, reads in its context another response of the group that was right and,
if this one was wrong, what the verifier said of it; the loss is the reverse divergence
D_KL(student ‖ teacher) at each token, in place of one advantage for all of them. A response with
neither teaches nothing. How much the verifier says is the run's `feedback`; with `none` it says no
more than that the response was wrong. Departures from the source, from whose code this is
independent:

- the teacher's weights are those of the frozen start, or with `teacher = "student"` the student's
  own at each step, where the paper averages the student's over time: that would need another copy
  of them. On the embedded model a teacher that moves with its student took both to pieces within 60
  steps (math-to-code, seed 0: KL 0.2, then 0.8 and 5.8 nats a token);
- success and feedback stand at the end of the system prompt (`shown_success`, `shown_feedback`),
  not in the user's message: the embedded model reads hints there;
- the divergence is exact over the vocabulary, where the paper takes the K likeliest tokens or the
  sampled one; one update a batch, so that there is no importance ratio;
- what the teacher reads has to leave room for the response: else it teaches nothing there.

Rewards are those of the student's responses; they decide what is shown, and weigh nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cl_bench.contract.learner import LearnerFactory, Ledger
from cl_bench.contract.settings import setting
from cl_bench.contract.thoughts import after_thought
from cl_bench.slow.settings import TeacherConfig
from cl_bench.slow.slow_only import SelfTaught

if TYPE_CHECKING:
    from cl_bench.model.policy import Policy
    from cl_bench.slow.distillation import Attempt

_SUCCESS, _FEEDBACK = "{success}", "{feedback}"


@dataclass(frozen=True)
class SDPOConfig(TeacherConfig):
    """Settings of sdpo."""

    shown_success: str = setting(
        f" {_SUCCESS} ;",
        "What the teacher's prompt says of another response, a right one; {success} stands for it.",
    )
    shown_feedback: str = setting(
        f" {_FEEDBACK} ;",
        "What it says of a response that was wrong; {feedback} stands for the verifier's words.",
    )


class SDPO(SelfTaught):
    """One step a batch, towards the policy that has read what came of each response."""

    name = "sdpo"

    def __init__(self, policy: Policy, config: SDPOConfig, ledger: Ledger) -> None:
        super().__init__(policy, config, ledger)
        self._config = config

    def _teach(self, attempts: Sequence[Attempt]) -> list[str | None]:
        # Those of an exercise stand together.
        size = self._config.group_size
        groups = [attempts[first : first + size] for first in range(0, len(attempts), size)]
        return [self._shown(group, place) for group in groups for place in range(len(group))]

    def _shown(self, group: Sequence[Attempt], place: int) -> str | None:
        """Return the seed prompt with what is to be learned from; None if there is nothing."""
        own = group[place]
        others = (one for one in (*group[:place], *group[place + 1 :]) if _succeeded(one))
        # A thought is not part of an answer, and as long as several.
        success = next(filter(None, (after_thought(one.response) for one in others)), "")
        feedback = "" if _succeeded(own) else own.verdict.feedback
        parts = [
            (self._config.shown_success, _SUCCESS, success),
            (self._config.shown_feedback, _FEEDBACK, feedback),
        ]
        said = "".join(words.replace(mark, text) for words, mark, text in parts if text)
        return self._prompt_with(said, own.exercise) if said else None


def _succeeded(attempt: Attempt) -> bool:
    return attempt.verdict.score >= 1


SDPO_FACTORY = LearnerFactory(SDPO, SDPOConfig, ("slow",), "SDPO")
