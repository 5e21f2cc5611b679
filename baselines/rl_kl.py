"""RL with a KL penalty to the base: is fast-slow training just regularisation?

The `rl` baseline with the KL penalty of GRPO (Shao et al., arXiv 2402.03300, eq. 3 and 4): the loss
of each sampled token gains kl_beta * (r - log r - 1), r = base probability / policy probability, by
TRL's own code. Every learner with RL steps has that setting; here its default is not 0. Departures
from the source:
- the penalty is multiplied by the importance ratio (DeepSeek-V3.2, arXiv 2512.02556),
  TRL's default. Its value stays; its expected gradient becomes that of D_KL(policy ‖ base), which
  is the divergence that the evaluator measures, where GRPO's own has that of D_KL(base ‖ policy);
- CISPO in place of the clipped surrogate, as in `rl`: plain REINFORCE at one epoch a batch;
- the base is the frozen start of the run, `Policy.base`, and is never renewed.
"""

from __future__ import annotations

from dataclasses import dataclass

from cl_bench.contract.learner import LearnerFactory
from cl_bench.contract.settings import setting
from cl_bench.contract.validation import RATES
from cl_bench.slow.settings import RLConfig

from .rl_only import RLOnly


@dataclass(frozen=True)
class RLWithKLConfig(RLConfig):
    """Settings of rl-kl."""

    kl_beta: float = setting(
        0.04, "Weight of the KL penalty to the base, per token; 0: none.", (0.0, RATES[1])
    )


class RLWithKL(RLOnly):
    """One RL step per batch, whose loss penalises leaving the base."""

    name = "rl-kl"


RL_KL = LearnerFactory(RLWithKL, RLWithKLConfig, ("slow",), "RL-KL")
