"""RL-only: slow weights alone, under the fixed seed prompt.

The paper's baseline (arXiv 2605.12484, "RL"): GRPO advantages with the CISPO loss, one prompt.
Departures from the paper: the model is small, so the learning rate is larger than an 8B model's;
by default one epoch per generated batch, hence an importance ratio of 1 and a clip that never bites
(`epochs_per_batch` takes more): what is left is plain REINFORCE with GRPO advantages. Averaging,
KL penalty, warm-up, clipping and the ratio's cap differ by default as in `fst`; `--preset paper`
has the paper's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cl_bench.contract.learner import LearnerFactory, Ledger
from cl_bench.slow.settings import RLConfig
from cl_bench.slow.slow_only import SlowOnly

if TYPE_CHECKING:
    from cl_bench.model.policy import Policy
    from cl_bench.slow.optimizer import ParameterTrainer


class RLOnly(SlowOnly):
    """One RL step per batch."""

    name = "rl"

    def trainer(self, policy: Policy, config: RLConfig, ledger: Ledger) -> ParameterTrainer:
        from cl_bench.slow.slow_weights import SlowWeights

        return SlowWeights(policy, config, ledger)


RL = LearnerFactory(RLOnly, RLConfig, ("slow",), "RL")
