"""What learners of parameters alone share: one step a batch, under the seed prompt."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cl_bench.contract.learner import Batch, Ledger
from cl_bench.contract.records import PromptRecord, StepRecord

if TYPE_CHECKING:
    from cl_bench.model.policy import Policy
    from cl_bench.slow.optimizer import ParameterTrainer


class SlowOnly(ABC):
    """One step of its trainer per batch; the prompt stays the seed prompt."""

    name: str

    def __init__(self, policy: Policy, config: Any, ledger: Ledger) -> None:
        self._seed_prompt: str = config.seed_prompt
        self._slow = self._trainer(policy, config, ledger)

    @abstractmethod
    def _trainer(self, policy: Policy, config: Any, ledger: Ledger) -> ParameterTrainer:
        """Return what trains the parameters."""

    def learn(self, batches: Sequence[Batch], ahead: Sequence[Batch] = ()) -> Iterator[StepRecord]:
        yield from self._slow.steps(batches, [self._seed_prompt])

    def prompt(self) -> str:
        return self._seed_prompt

    def lineage(self) -> list[PromptRecord]:
        return []

    def save(self, folder: Path) -> None:
        self._slow.save(folder)

    def load(self, folder: Path) -> None:
        self._slow.load(folder)
