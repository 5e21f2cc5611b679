"""Trying prompts out: responses to exercises under system prompts, judged and counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cl_bench.contract.learner import Exercise, LearnerConfig, Ledger
from cl_bench.contract.prompts import chat
from cl_bench.fast.reflection.reflector import JudgedRollout

if TYPE_CHECKING:
    from cl_bench.model.policy import Policy


class PromptTester:
    """Samples and judges responses under system prompts; the ledger counts them for `fast`."""

    def __init__(self, policy: Policy, config: LearnerConfig, ledger: Ledger) -> None:
        self._policy, self._config, self._ledger = policy, config, ledger
        self.rollouts = 0
        """How many it has sampled."""

    def fits(self, system: str, exercises: Sequence[Exercise]) -> bool:
        """Tell whether `system` leaves room in the context for exercises such as these.

        A quarter of the context is kept free, because other tasks may have longer exercises.
        """
        longest = max((exercise.prompt for exercise in exercises), key=len)
        return self._policy.fits(chat(system, longest), self._config.max_new_tokens, share=0.75)

    def count_proposals(self, number: int) -> None:
        """Count rewrites that are proposed."""
        self._ledger.add("fast", proposals=number)

    def try_out(self, items: Sequence[tuple[str, Sequence[Exercise]]]) -> list[list[JudgedRollout]]:
        """Return, for each (system prompt, exercises), one judged rollout of each exercise.

        All responses are sampled in one generation. Both orders are kept.
        """
        from cl_bench.model.policy import verdicts  # brings torch

        pairs = [(system, exercise) for system, exercises in items for exercise in exercises]
        sampled = self._policy.generate(
            [chat(system, exercise.prompt) for system, exercise in pairs],
            max_new_tokens=self._config.max_new_tokens,
            temperature=self._config.temperature,
        )
        self.rollouts += len(sampled)
        self._ledger.add(
            "fast",
            rollouts=len(sampled),
            prompt_tokens=sum(len(rollout.prompt_ids) for rollout in sampled),
            generated_tokens=sum(len(rollout.completion_ids) for rollout in sampled),
        )
        found = verdicts(sampled, [exercise.judge for _, exercise in pairs])
        judged = iter(
            [
                JudgedRollout(exercise.prompt, rollout.text, verdict)
                for (_, exercise), rollout, verdict in zip(pairs, sampled, found, strict=True)
            ]
        )
        return [[next(judged) for _ in exercises] for _, exercises in items]
