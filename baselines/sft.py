"""SFT: supervised fine-tuning on the gold solutions. How much does imitation forget?

The classic of continual learning, sequential fine-tuning, which papers show as the forgetter
(arXiv 2509.04259, 2601.19897): cross-entropy on the solutions, by `cl_bench.slow.supervised`. What
it learns from, as `sdft` does, is not what the others learn from: they see the verifier's scores
and feedback, and it sees how every problem is solved, which few users have.

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

from typing import TYPE_CHECKING

from cl_bench.contract.learner import LearnerFactory, Ledger
from cl_bench.slow.settings import SlowConfig
from cl_bench.slow.slow_only import SlowOnly

if TYPE_CHECKING:
    from cl_bench.model.policy import Policy
    from cl_bench.slow.optimizer import ParameterTrainer


class SFT(SlowOnly):
    """One step on the solutions of each batch."""

    name = "sft"

    def trainer(self, policy: Policy, config: SlowConfig, ledger: Ledger) -> ParameterTrainer:
        from cl_bench.slow.supervised import SupervisedTuning

        return SupervisedTuning(policy, config, ledger)


SFT_FACTORY = LearnerFactory(SFT, SlowConfig, ("slow",), "SFT", from_solutions=True)
