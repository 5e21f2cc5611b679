"""Fast-Slow Training: prompts and parameters learn from the same reward, interleaved.

Tiwari et al., "Learning, Fast and Slow", arXiv 2605.12484. One cycle: a light GEPA round under the
current parameters gives a population of K prompts; T RL steps follow, in which the rollouts of
every problem are spread over the K prompts and share one advantage. Two options are ablations of
that: without `mixed_groups` each problem's rollouts read one prompt, problems taking them in turn;
without `refill` the population is the Pareto frontier alone, which may be one prompt.

Departures from the paper, from whose authors' code this is independent:
- by default the reflection LM is the run's own frozen base, not a larger model;
- the optimiser of prompts scores on the exercises of the next few steps, so that it sees the
  stream in the same order as RL and nothing else; by default these are also the ones that feedback
  comes from, answered once each (`cl_bench.fast.fast_weights` says what that is worth, and how many
  proposals of a round become rewrites);
- by default one epoch per generated batch: the importance ratio is 1 and CISPO's clip does not
  bite, so the steps are plain REINFORCE with GRPO advantages; `epochs_per_batch` takes more;
- other defaults are for small runs: losses are averaged over tokens (the paper: per prompt), there
  is no KL penalty (0.001) and no warm-up (10 steps), gradients are clipped at 1.0 (none stated),
  ratios at 5 (4), and 16 exercises score a round (192). `--preset paper` has the paper's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cl_bench.contract.learner import Batch, LearnerFactory, Ledger, first_exercises
from cl_bench.contract.records import PromptRecord, StepRecord
from cl_bench.contract.settings import setting
from cl_bench.fast.settings import PeriodicRoundsConfig
from cl_bench.slow.settings import RLConfig, SlowConfig
from cl_bench.store.files import read_json, write_json_atomically

if TYPE_CHECKING:
    from cl_bench.model.policy import Policy
    from cl_bench.slow.optimizer import ParameterTrainer


@dataclass(frozen=True)
class InterleavedConfig(SlowConfig, PeriodicRoundsConfig):
    """Settings of learners whose steps and rounds take turns."""

    mixed_groups: bool = setting(
        True, "Spread an exercise's rollouts over the population; without, all read one prompt."
    )

    @property
    def prompt_run(self) -> int:
        return 1 if self.mixed_groups else self.group_size


@dataclass(frozen=True)
class FastSlowConfig(RLConfig, InterleavedConfig):
    """Settings of fst."""


class FastSlow:
    """A round of the prompt optimiser, then T RL steps under its prompts, and again."""

    name = "fst"

    def __init__(self, policy: Policy, config: InterleavedConfig, ledger: Ledger) -> None:
        from cl_bench.fast.fast_weights import FastWeights

        self._fast = FastWeights(policy, config, ledger)
        self._slow = self._trainer(policy, config, ledger)
        self._every, self._exercises = config.round_every, config.exercises_ahead
        self._until_round = 0

    def learn(self, batches: Sequence[Batch], ahead: Sequence[Batch] = ()) -> Iterator[StepRecord]:
        while batches:
            if self._until_round == 0:
                self._fast.round(first_exercises((*batches, *ahead), self._exercises))
                self._until_round = self._every
            # RL goes on up to the next round, which may lie beyond these batches.
            now, batches = batches[: self._until_round], batches[self._until_round :]
            for record in self._slow.steps(now, self._fast.prompts):
                self._until_round -= 1  # before the record, after which the caller may save
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

    @staticmethod
    def _trainer(policy: Policy, config: Any, ledger: Ledger) -> ParameterTrainer:
        """Return what trains the parameters between two rounds."""
        from cl_bench.slow.slow_weights import SlowWeights

        return SlowWeights(policy, config, ledger)


FST = LearnerFactory(FastSlow, FastSlowConfig, label="FST")
