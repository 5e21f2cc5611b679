"""RL-only: slow weights alone, under the fixed seed prompt.

The paper's baseline (arXiv 2605.12484, "RL"): GRPO advantages with the CISPO loss, one prompt.
Departures from the paper: the model is small, so the learning rate is larger than an 8B model's;
by default one epoch per generated batch, hence an importance ratio of 1 and a clip that never bites
(`epochs_per_batch` takes more): what is left is plain REINFORCE with GRPO advantages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cl_bench.contract.learner import Batch, LearnerFactory, Ledger
from cl_bench.contract.records import PromptRecord, StepRecord
from cl_bench.slow.settings import RLConfig

if TYPE_CHECKING:
    from cl_bench.model.policy import Policy


class RLOnly:
    """One RL step per batch."""

    name = "rl"

    def __init__(self, policy: Policy, config: RLConfig, ledger: Ledger) -> None:
        from cl_bench.slow.slow_weights import SlowWeights

        self._seed_prompt = config.seed_prompt
        self._slow = SlowWeights(policy, config, ledger)

    def learn(
        self,
        batches: Sequence[Batch],
        ahead: Sequence[Batch] = (),
    ) -> Iterator[StepRecord]:
        yield from self._slow.steps(batches, [self._seed_prompt])

    def prompt(self) -> str:
        return self._seed_prompt

    def lineage(self) -> list[PromptRecord]:
        return []

    def save(self, folder: Path) -> None:
        self._slow.save(folder)

    def load(self, folder: Path) -> None:
        self._slow.load(folder)


RL = LearnerFactory(RLOnly, RLConfig, ("slow",), "RL")
