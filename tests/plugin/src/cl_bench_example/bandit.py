"""choose between three fixed system prompts by what each has earned; frozen parameters."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from time import perf_counter

from cl_bench.contract.learner import Batch, LearnerConfig, LearnerFactory, Ledger
from cl_bench.contract.prompts import SEED_PROMPT
from cl_bench.contract.records import PromptRecord, StepRecord
from cl_bench.contract.settings import setting
from cl_bench.contract.task import hashed_rng
from cl_bench.fast.rollouts import PromptTester
from cl_bench.model.policy import Policy

ARMS = (SEED_PROMPT, "answer with a digit .", "think of every colour .")


@dataclass(frozen=True)
class BanditConfig(LearnerConfig):
    """Settings of the bandit."""

    epsilon: float = setting(
        1.0, "Chance of trying the prompt with the fewest tries instead of the best.", (0.0, 1.0)
    )


class Bandit:
    """Every step tries one prompt, and remembers the mean of each."""

    name = "cl-bench-example/bandit"

    def __init__(self, policy: Policy, config: BanditConfig, ledger: Ledger) -> None:
        self._tester = PromptTester(policy, config, ledger)
        self._ledger = ledger
        self._seed, self._epsilon = config.seed, config.epsilon
        self._tries = [0] * len(ARMS)
        self._earned = [0.0] * len(ARMS)

    def learn(self, batches: Sequence[Batch], ahead: Sequence[Batch] = ()) -> Iterator[StepRecord]:
        for batch in batches:
            started = perf_counter()
            chance = hashed_rng("bandit", self._seed, sum(self._tries)).random()
            explores = chance < self._epsilon
            arm = self._tries.index(min(self._tries)) if explores else self._best()
            (rollouts,) = self._tester.try_out([(ARMS[arm], batch)])
            reward = sum(rollout.verdict.score for rollout in rollouts) / len(rollouts)
            self._tries[arm] += 1
            self._earned[arm] += reward
            seconds = perf_counter() - started
            self._ledger.add("fast", seconds=seconds)
            yield StepRecord(reward, nan, nan, nan, nan, nan, seconds)

    def prompt(self) -> str:
        return ARMS[self._best()]

    def _best(self) -> int:
        means = [
            earned / max(tries, 1) for earned, tries in zip(self._earned, self._tries, strict=True)
        ]
        return means.index(max(means))

    def lineage(self) -> list[PromptRecord]:
        return []

    def save(self, folder: Path) -> None:
        (folder / "bandit.json").write_text(json.dumps([self._tries, self._earned]))

    def load(self, folder: Path) -> None:
        self._tries, self._earned = json.loads((folder / "bandit.json").read_text())


BANDIT = LearnerFactory(Bandit, BanditConfig, ("fast",), "Bandit")
