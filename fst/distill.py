"""FST-distill: prompts learn from the reward, parameters from the prompted policy.

The variant of Tiwari et al., "Learning, Fast and Slow", arXiv 2605.12484: GEPA alone is driven by
the reward; between its rounds the policy under the evolved prompts is distilled into the policy
under the seed prompt, by reverse divergence, in place of the RL steps. The paper's finding to be
tested is that this plateaus below fast-slow training.

Departures from the paper, whose code is not public:
- teacher and student are the same weights at every step, so that the teacher moves along;
- the student samples, and the divergence is over the full vocabulary (see `cl_bench.distill`);
- a step's responses are spread over all K prompts as teachers, as are those of fast-slow training;
- the reflection LM is by default the run's own frozen base, and the optimiser of prompts scores on
  the exercises of the next few steps, as in `fst`.

It is evaluated under its best prompt and, as every learner, under the seed prompt: the second says
what was distilled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from cl_bench.distill import SelfDistillation
from cl_bench.fast import FastWeights
from cl_bench.files import read_json, write_json_atomically
from cl_bench.learner import (
    Batch,
    Learner,
    LearnerConfig,
    LearnerFactory,
    Ledger,
    PromptRecord,
    StepRecord,
    first_exercises,
)
from cl_bench.policy import Policy
from cl_bench.reflectors.factory import build_reflector


class FastSlowDistill:
    """A round of the prompt optimiser, then T steps that distil its prompts, and again."""

    name = "fst-distill"

    def __init__(self, policy: Policy, config: LearnerConfig, ledger: Ledger) -> None:
        reflector = build_reflector(policy, config, ledger)
        self._fast = FastWeights(policy, reflector, config, ledger)
        self._slow = SelfDistillation(policy, config, ledger)
        self._every, self._exercises = config.round_every, config.round_exercises
        self._until_round = 0

    def learn(self, batches: Sequence[Batch], ahead: Sequence[Batch] = ()) -> Iterator[StepRecord]:
        while batches:
            if self._until_round == 0:
                self._fast.round(first_exercises((*batches, *ahead), self._exercises))
                self._until_round = self._every
            now, batches = batches[: self._until_round], batches[self._until_round :]
            for record in self._slow.steps(now, self._fast.prompts):
                self._until_round -= 1
                yield record

    def boundary(self) -> None:
        self._until_round = 0

    def prompt(self) -> str:
        return self._fast.best

    def lineage(self) -> list[PromptRecord]:
        return self._fast.lineage()

    def save(self, folder: Path) -> None:
        self._slow.save(folder)
        self._fast.save(folder)
        write_json_atomically(folder / "schedule.json", {"until_round": self._until_round})

    def load(self, folder: Path) -> None:
        self._slow.load(folder)
        self._fast.load(folder)
        self._until_round = read_json(folder / "schedule.json")["until_round"]


def _build(policy: Policy, config: LearnerConfig, ledger: Ledger) -> Learner:
    return FastSlowDistill(policy, config, ledger)


FST_DISTILL = LearnerFactory(_build)
