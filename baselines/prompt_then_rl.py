"""Prompt, then RL: prompts are optimised once, then RL runs under the best. Is interleaving needed?

The parts of fast-slow training (Tiwari et al., arXiv 2605.12484) one after the other: GEPA rounds
on the base model, `consecutive_rounds` of them in a row; from then on RL as in `rl`, under the best
prompt that they found, which stays as it is. Departures from fast-slow training:
- no round ever sees trained parameters, and RL has one prompt, not K;
- all rounds score on the same exercises, the first `round_exercises` (and take their feedback from
  these, if no `feedback_exercises` are set), as classic GEPA does
  (arXiv 2507.19457); how far the runner looks ahead then makes no difference;
- where boundaries are hidden it cannot know of a new task and keeps the first task's prompt. Where
  they are announced, the rounds are made again, starting from the present population.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cl_bench.contract.learner import Batch, LearnerFactory, Ledger, first_exercises
from cl_bench.contract.records import PromptRecord, StepRecord
from cl_bench.fast.settings import ConsecutiveRoundsConfig
from cl_bench.slow.settings import RLConfig
from cl_bench.store.files import read_json, write_json_atomically

if TYPE_CHECKING:
    from cl_bench.model.policy import Policy


@dataclass(frozen=True)
class PromptThenRLConfig(RLConfig, ConsecutiveRoundsConfig):
    """Settings of prompt-then-rl."""


class PromptThenRL:
    """Rounds of the prompt optimiser, then one RL step per batch under the prompt they found."""

    name = "prompt-then-rl"

    def __init__(self, policy: Policy, config: PromptThenRLConfig, ledger: Ledger) -> None:
        from cl_bench.fast.fast_weights import FastWeights
        from cl_bench.slow.slow_weights import SlowWeights

        self._fast = FastWeights(policy, config, ledger)
        self._slow = SlowWeights(policy, config, ledger)
        self._rounds, self._exercises = config.consecutive_rounds, config.exercises_ahead
        self._evolved = False

    def learn(self, batches: Sequence[Batch], ahead: Sequence[Batch] = ()) -> Iterator[StepRecord]:
        if batches and not self._evolved:
            # The same exercises in every round, so that rounds build on equal scores.
            exercises = first_exercises((*batches, *ahead), self._exercises)
            for _ in range(self._rounds):
                self._fast.round(exercises)
            self._evolved = True
        yield from self._slow.steps(batches, [self._fast.best])

    def boundary(self) -> None:
        self._evolved = False

    def prompt(self) -> str:
        return self._fast.best

    def lineage(self) -> list[PromptRecord]:
        return self._fast.lineage()

    def save(self, folder: Path) -> None:
        self._slow.save(folder)
        self._fast.save(folder)
        write_json_atomically(folder / "schedule.json", {"evolved": self._evolved})

    def load(self, folder: Path) -> None:
        self._slow.load(folder)
        self._fast.load(folder)
        self._evolved = read_json(folder / "schedule.json")["evolved"]


PROMPT_THEN_RL = LearnerFactory(PromptThenRL, PromptThenRLConfig, label="prompt, then RL")
