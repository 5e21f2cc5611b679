"""RL with a KL penalty to the base: is fast-slow training just regularisation?

The `rl` baseline with the KL penalty of GRPO (Shao et al., arXiv 2402.03300, eq. 3 and 4): the loss
of each sampled token gains kl_beta * (r - log r - 1), r = base probability / policy probability, by
TRL's own code. Departures from the source:
- the penalty is multiplied by the importance ratio (DeepSeek-V3.2, arXiv 2512.02556),
  TRL's default. Its value stays; its expected gradient becomes that of D_KL(policy ‖ base), which
  is the divergence that the evaluator measures, where GRPO's own has that of D_KL(base ‖ policy);
- CISPO in place of the clipped surrogate, as in `rl`;
- the base is the frozen start of the run, `Policy.base`, and is never renewed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from cl_bench.contract.learner import (
    Batch,
    Learner,
    LearnerConfig,
    LearnerFactory,
    Ledger,
    PromptRecord,
    StepRecord,
)
from cl_bench.model.policy import Policy
from cl_bench.slow.slow_weights import SlowWeights


class RLWithKL:
    """One RL step per batch, whose loss penalises leaving the base."""

    name = "rl-kl"

    def __init__(self, policy: Policy, config: LearnerConfig, ledger: Ledger) -> None:
        self._seed_prompt = config.seed_prompt
        self._slow = SlowWeights(policy, config, ledger, kl_beta=config.kl_beta)

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


def _build(policy: Policy, config: LearnerConfig, ledger: Ledger) -> Learner:
    return RLWithKL(policy, config, ledger)


RL_KL = LearnerFactory(_build)
