"""Prompt-only: fast weights alone, on frozen parameters.

The paper's baseline (arXiv 2605.12484, "GEPA"): the same prompt optimiser on the same schedule as
in fast-slow training, without the RL steps between its rounds. Departures from the paper: rounds
come every T steps of the stream, so that the learner meets the stream at the others' pace; by
default the reflection LM is the frozen base instead of a larger model; and by default the exercises
that score prompts are also those that feedback comes from, answered once each (a standard error of
up to 12.5 points on 16 exercises), where GEPA has a set for either. A proposal whose minibatch is
all right asks for no rewrite, as in GEPA: of 135 of `fst` on the embedded model (math-to-code, 5 a
round, seed 0) 43 remained; a run's ledger counts both.
`cl_bench.fast.fast_weights` says more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import nan
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from cl_bench.contract.learner import Batch, LearnerFactory, Ledger, first_exercises
from cl_bench.contract.records import PromptRecord, StepRecord
from cl_bench.fast.settings import PeriodicRoundsConfig
from cl_bench.store.files import read_json, write_json_atomically

if TYPE_CHECKING:
    from cl_bench.model.policy import Policy


class PromptOnly:
    """A round of the prompt optimiser before every T-th step; nothing happens in other steps."""

    name = "prompt"

    def __init__(self, policy: Policy, config: PeriodicRoundsConfig, ledger: Ledger) -> None:
        from cl_bench.fast.fast_weights import FastWeights

        self._fast = FastWeights(policy, config, ledger)
        self._every, self._exercises = config.round_every, config.exercises_ahead
        self._until_round = 0

    def learn(self, batches: Sequence[Batch], ahead: Sequence[Batch] = ()) -> Iterator[StepRecord]:
        for done in range(len(batches)):
            started = perf_counter()
            if self._until_round == 0:
                coming = (*batches[done:], *ahead)
                self._fast.round(first_exercises(coming, self._exercises))
                self._until_round = self._every
            self._until_round -= 1
            # Nothing is sampled between rounds, so the step's reward is the last round's score.
            reward = self._fast.score
            yield StepRecord(reward, nan, nan, nan, nan, nan, perf_counter() - started)

    def boundary(self) -> None:
        self._until_round = 0

    def prompt(self) -> str:
        return self._fast.best

    def lineage(self) -> list[PromptRecord]:
        return self._fast.lineage()

    def save(self, folder: Path) -> None:
        self._fast.save(folder)
        write_json_atomically(folder / "schedule.json", {"until_round": self._until_round})

    def load(self, folder: Path) -> None:
        self._fast.load(folder)
        self._until_round = read_json(folder / "schedule.json")["until_round"]


PROMPT = LearnerFactory(PromptOnly, PeriodicRoundsConfig, ("fast",), "prompt-only")
