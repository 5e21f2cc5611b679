"""Noticing a policy that has collapsed: it always says the same, fails, and can learn no more."""

from __future__ import annotations

from math import log

from cl_bench.contract.errors import DivergedError
from cl_bench.contract.records import StepRecord

STEPS = 20
"""Consecutive steps that make a collapse."""
ENTROPY = 1e-3
"""Mean token entropy, in nats, below which a policy counts as deterministic."""
NOISE = 0.9
"""Share of the greatest possible entropy above which a policy counts as noise."""


class CollapseWatch:
    """Raises `DivergedError` after `STEPS` hopeless steps in a row.

    In a hopeless step the entropy is below `ENTROPY` or above `NOISE` of log(`vocabulary`), some
    rollout fails, and no group has rewards that differ: all advantages are 0, so that training
    cannot move the weights. A solved task (reward 1) and a hard one (entropy between the two) are
    not a collapse.
    """

    def __init__(self, vocabulary: int) -> None:
        self._noise = NOISE * log(vocabulary)
        self.hopeless = 0
        """Hopeless steps in a row up to now; part of a checkpoint."""

    def see(self, step: int, record: StepRecord) -> None:
        """Take in the record of training step `step`; raise `DivergedError` for a collapse."""
        broken = record.entropy < ENTROPY or record.entropy > self._noise
        stuck = broken and record.signal == 0 and record.reward < 1
        self.hopeless = self.hopeless + 1 if stuck else 0
        if self.hopeless >= STEPS:
            raise DivergedError(
                f"Step {step} diverged: the policy has collapsed. In each of the last {STEPS} "
                f"steps it said always the same or pure noise (entropy now {record.entropy:.3g} "
                "nats a token), no group of rollouts had differing rewards and some failed (reward "
                f"now {record.reward:.3f}), so it can learn no more. Lower `learning_rate` and run "
                "again."
            )
