"""What learners of parameters alone share: one step a batch, under the seed prompt; and what those
share that are taught by the policy itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cl_bench.contract.learner import Batch, Exercise, Ledger
from cl_bench.contract.prompts import chat
from cl_bench.contract.records import PromptRecord, StepRecord

if TYPE_CHECKING:
    from cl_bench.model.policy import Policy
    from cl_bench.slow.distillation import Attempt
    from cl_bench.slow.optimizer import ParameterTrainer
    from cl_bench.slow.settings import TeacherConfig


class SlowOnly(ABC):
    """A learner that takes one step of its trainer per batch; the prompt stays the seed prompt.

    Subclasses have a `name` and say what trains (`trainer`); `slow` is what it made, and
    `seed_prompt` the system prompt.
    """

    name: str

    def __init__(self, policy: Policy, config: Any, ledger: Ledger) -> None:
        self.seed_prompt: str = config.seed_prompt
        self.slow = self.trainer(policy, config, ledger)

    @abstractmethod
    def trainer(self, policy: Policy, config: Any, ledger: Ledger) -> ParameterTrainer:
        """Return what trains the parameters."""

    def learn(self, batches: Sequence[Batch], ahead: Sequence[Batch] = ()) -> Iterator[StepRecord]:
        yield from self.slow.steps(batches, [self.seed_prompt])

    def prompt(self) -> str:
        return self.seed_prompt

    def lineage(self) -> list[PromptRecord]:
        return []

    def save(self, folder: Path) -> None:
        self.slow.save(folder)

    def load(self, folder: Path) -> None:
        self.slow.load(folder)


class SelfTaught(SlowOnly):
    """One step a batch, towards the policy whose system prompt says more than the seed prompt."""

    def trainer(self, policy: Policy, config: TeacherConfig, ledger: Ledger) -> ParameterTrainer:
        from cl_bench.slow.distillation import SelfDistillation

        self._policy, self._max_new_tokens = policy, config.max_new_tokens
        base = config.teacher == "base"
        return SelfDistillation(policy, config, ledger, self._teach, from_base=base)

    @abstractmethod
    def _teach(self, attempts: Sequence[Attempt]) -> list[str | None]:
        """Return the teacher's prompt over every attempt; None where nothing is taught."""

    def _prompt_with(self, said: str, exercise: Exercise) -> str | None:
        """Return the seed prompt with what is `said`; None if that leaves a response no room."""
        prompt = f"{self.seed_prompt}{said}"
        fits = self._policy.fits(chat(prompt, exercise.prompt), self._max_new_tokens)
        return prompt if fits else None
