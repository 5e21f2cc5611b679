"""RL with replay: part of each step's exercises are past ones. Does that prevent forgetting?

Experience replay (Rolnick et al., arXiv 1811.11682) for RL with verifiable rewards. Past exercises
come from a reservoir that is a uniform sample of all exercises trained on (Vitter 1985, algorithm
R). Departures from the source:
- exercises are replayed, not trajectories: responses are sampled from the current policy, so that
  learning stays on-policy and there is nothing to correct for;
- boundaries are hidden, so "past" is everything trained on, of the task at hand too;
- past exercises replace the last ones of a step, so that a step costs as much as one of `rl`. A
  step's reward is the mean over both kinds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import floor
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from cl_bench.contract.errors import RunDirectoryError
from cl_bench.contract.learner import Batch, Exercise, Find, LearnerFactory, Ledger
from cl_bench.contract.records import PromptRecord, StepRecord
from cl_bench.contract.settings import setting
from cl_bench.contract.task import hashed_rng
from cl_bench.contract.validation import COUNTS
from cl_bench.slow.settings import RLConfig
from cl_bench.store.files import read_json, write_json_atomically

if TYPE_CHECKING:
    from cl_bench.model.policy import Policy

_FILE = "replay.json"


@dataclass(frozen=True)
class RLWithReplayConfig(RLConfig):
    """Settings of rl-replay."""

    replay_share: float = setting(
        0.25, "Share of a step's exercises that are past ones; 0: none.", (0.0, 0.9)
    )
    replay_size: int = setting(256, "Past exercises kept to choose from.", COUNTS)


class RLWithReplay:
    """One RL step per batch, part of which is replaced by exercises of earlier steps."""

    name = "rl-replay"

    def __init__(self, policy: Policy, config: RLWithReplayConfig, ledger: Ledger) -> None:
        from cl_bench.slow.slow_weights import SlowWeights

        self._seed_prompt = config.seed_prompt
        self._slow = SlowWeights(policy, config, ledger)
        self._share, self._size, self._seed = config.replay_share, config.replay_size, config.seed
        self._reservoir: list[Exercise] = []
        self._seen = 0
        """New exercises trained on."""
        self._trained = 0
        """All exercises trained on."""
        self._steps = 0
        self._missing: list[str] = []
        """Keys of the reservoir that was loaded, until `recall` brings their exercises."""

    def learn(self, batches: Sequence[Batch], ahead: Sequence[Batch] = ()) -> Iterator[StepRecord]:
        if self._missing:
            raise RunDirectoryError(
                f"The learner was loaded without the {len(self._missing)} past exercises it keeps: "
                "call `recall` after `load`, as `cl_bench.contract.learner.load_learner` does."
            )
        for batch in batches:
            yield from self._slow.steps([self._mixed(batch)], [self._seed_prompt])

    def recall(self, find: Find) -> None:
        self._reservoir = [find(key) for key in self._missing]
        self._missing = []

    def prompt(self) -> str:
        return self._seed_prompt

    def lineage(self) -> list[PromptRecord]:
        return []

    def save(self, folder: Path) -> None:
        self._slow.save(folder)
        state = {
            "reservoir": [exercise.key for exercise in self._reservoir],
            "seen": self._seen,
            "trained": self._trained,
            "steps": self._steps,
        }
        write_json_atomically(folder / _FILE, state)

    def load(self, folder: Path) -> None:
        self._slow.load(folder)
        state = read_json(folder / _FILE)
        self._reservoir, self._missing = [], state["reservoir"]
        self._seen, self._trained, self._steps = state["seen"], state["trained"], state["steps"]

    def _mixed(self, batch: Batch) -> Batch:
        """Return the exercises of the next step; the new ones may enter the reservoir."""
        self._steps += 1
        rng = hashed_rng("replay", self._seed, self._steps)
        # Rounded over the whole run, not in each step: a quarter of two exercises is one past
        # exercise in every second step.
        before, after = (
            floor(self._share * n) for n in (self._trained, self._trained + len(batch))
        )
        past = rng.sample(self._reservoir, min(after - before, len(self._reservoir)))
        new = batch[: len(batch) - len(past)]
        for exercise in new:
            self._keep(exercise, rng)
        self._trained += len(batch)
        return [*new, *past]

    def _keep(self, exercise: Exercise, rng: Random) -> None:
        """Algorithm R: the n-th exercise enters with probability size / n, in a random place."""
        self._seen += 1
        if len(self._reservoir) < self._size:
            self._reservoir.append(exercise)
        elif (place := rng.randrange(self._seen)) < self._size:
            self._reservoir[place] = exercise


RL_REPLAY = LearnerFactory(RLWithReplay, RLWithReplayConfig, ("slow",), "RL-replay")
