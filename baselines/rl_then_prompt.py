"""RL, then prompt: what GEPA adds to an RL checkpoint. How much of fast-slow training is that?

The parts of fast-slow training (Tiwari et al., arXiv 2605.12484) the other way round: RL as in
`rl`, with prompts evolved on its checkpoints only. A learner is not told where its stream ends, so
every checkpoint is treated as if it were the last: at the end of each call of `learn`, after which
a learner may be evaluated, a fresh population is evolved from the seed prompt on the current
parameters, by `consecutive_rounds` rounds. Its best prompt is used for evaluation, and never by RL.
The alternative, RL for a set number of steps and then rounds, would have to be told the length of
the stream, and could be measured at one point only.

Departures from fast-slow training, and what follows from them:
- The rounds draw from random generators of their own: the parameters are, bit by bit, those of `rl`
  at the same seed, so that the two differ by the prompt alone.
- All rounds are on the last exercises that RL met, or on as many as that call of `learn` had
  (`cl_bench.fast.fast_weights` says what such scores are worth): the first `round_exercises` of
  them score prompts; feedback comes from the same, or with `feedback_exercises` from those after.
- The ledger counts the rounds of every checkpoint, but one result costs only those of one. So
  divide the rollouts of the fast channel by the number of evaluations, or set `eval_every` to the
  length of the stage.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cl_bench.contract.learner import Batch, Exercise, LearnerFactory, Ledger
from cl_bench.contract.records import PromptRecord, StepRecord
from cl_bench.contract.task import hashed_rng
from cl_bench.fast.settings import ConsecutiveRoundsConfig
from cl_bench.slow.settings import RLConfig
from cl_bench.store.files import read_json, write_json_atomically

if TYPE_CHECKING:
    from cl_bench.model.policy import Policy


@dataclass(frozen=True)
class RLThenPromptConfig(RLConfig, ConsecutiveRoundsConfig):
    """Settings of rl-then-prompt."""

    AT_EVERY_EVALUATION = True


class RLThenPrompt:
    """One RL step per batch; after the last one of a call, rounds whose prompts RL never uses."""

    name = "rl-then-prompt"

    def __init__(self, policy: Policy, config: RLThenPromptConfig, ledger: Ledger) -> None:
        from cl_bench.fast.fast_weights import FastWeights
        from cl_bench.slow.slow_weights import SlowWeights

        self._fast = FastWeights(policy, config, ledger)
        self._slow = SlowWeights(policy, config, ledger)
        self._device, self._config = policy.device, config
        self._steps = 0

    def learn(self, batches: Sequence[Batch], ahead: Sequence[Batch] = ()) -> Iterator[StepRecord]:
        met = [exercise for batch in batches for exercise in batch]
        for record in self._slow.steps(batches, [self._config.seed_prompt]):
            self._steps += 1
            batches = batches[1:]
            if not batches:
                # Before the record is yielded: a caller need not ask for anything after the last.
                self._evolve(met[-self._config.exercises_ahead :])
            yield record

    def prompt(self) -> str:
        return self._fast.best

    def lineage(self) -> list[PromptRecord]:
        return self._fast.lineage()

    def save(self, folder: Path) -> None:
        self._slow.save(folder)
        self._fast.save(folder)
        write_json_atomically(folder / "schedule.json", {"steps": self._steps})

    def load(self, folder: Path) -> None:
        self._slow.load(folder)
        self._fast.load(folder)
        self._steps = read_json(folder / "schedule.json")["steps"]

    def _evolve(self, exercises: Sequence[Exercise]) -> None:
        import torch

        from cl_bench.model.random_states import random_states_kept

        self._fast.restart()
        with random_states_kept(self._device):
            rng = hashed_rng("rl-then-prompt", self._config.seed, self._steps)
            torch.manual_seed(rng.getrandbits(63))
            for _ in range(self._config.consecutive_rounds):
                self._fast.round(exercises)


RL_THEN_PROMPT = LearnerFactory(RLThenPrompt, RLThenPromptConfig, label="RL, then prompt")
