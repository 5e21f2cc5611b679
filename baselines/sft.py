"""SFT: supervised fine-tuning on the gold solutions. How much does imitation forget?

The classic of continual learning, sequential fine-tuning, which papers show as the forgetter
(arXiv 2509.04259, 2601.19897): cross-entropy on the solutions, by `cl_bench.slow.supervised`. What
it learns from is not what the others learn from: they see the verifier's scores and feedback, and
it sees how every problem is solved, which few users have.

- What a solution is, is the domain's: the built-in ones have worked steps, those of data sets and
  of reasoning-gym often only the final answer in a form that is judged right. Then it is the short
  answer that is learned, and a model that used to reason first does so no more.
- Nothing is sampled: a step fits each of its `problems_per_step` solutions once. `group_size` is
  only what a step counts for where the length of a stage is given in rollouts, so that a stage has
  the same steps and problems as for `rl`; `temperature` and `max_new_tokens` are of evaluation.
- A solution is learned whole, also where it is longer than `max_new_tokens`.
- Its budget is in no unit that it shares with RL: the ledger has no rollouts of it, but
  `solution_tokens`. Compare it at equal steps, or by seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cl_bench.contract.learner import Batch, LearnerFactory, Ledger
from cl_bench.contract.records import PromptRecord, StepRecord
from cl_bench.slow.settings import SlowConfig

if TYPE_CHECKING:
    from cl_bench.model.policy import Policy


class SFT:
    """One step on the solutions of each batch, under the seed prompt."""

    name = "sft"

    def __init__(self, policy: Policy, config: SlowConfig, ledger: Ledger) -> None:
        from cl_bench.slow.supervised import SupervisedTuning

        self._seed_prompt = config.seed_prompt
        self._slow = SupervisedTuning(policy, config, ledger)

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


SFT_FACTORY = LearnerFactory(SFT, SlowConfig, ("slow",), "SFT", from_solutions=True)
