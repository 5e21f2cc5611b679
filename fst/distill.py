"""FST-distill: prompts learn from the reward, parameters from the prompted policy.

The variant of Tiwari et al., "Learning, Fast and Slow", arXiv 2605.12484: GEPA alone is driven by
the reward; between its rounds the policy under the evolved prompts is distilled into the policy
under the seed prompt, by reverse divergence, in place of the RL steps. The paper's finding to be
tested is that this plateaus below fast-slow training.

Departures from the paper, from whose authors' code this is independent:
- teacher and student have the same weights at every step, so that the teacher changes too;
- the student samples, and the divergence is over the full vocabulary (see
  `cl_bench.slow.distillation`);
- a step's responses are spread over all K prompts as teachers, as are those of fast-slow training;
- by default the reflection LM is the run's own frozen base, and the optimiser of prompts scores on
  the exercises of the next few steps, from which feedback comes too, as in `fst`
  (`cl_bench.fast.fast_weights` says what such scores are worth).

It is evaluated under its best prompt and, like every learner, under the seed prompt: the second
shows what was distilled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cl_bench.contract.learner import LearnerFactory, Ledger

from .fast_slow import FastSlow, InterleavedConfig

if TYPE_CHECKING:
    from cl_bench.model.policy import Policy
    from cl_bench.slow.optimizer import ParameterTrainer


class FastSlowDistill(FastSlow):
    """A round of the prompt optimiser, then T steps that distil its prompts, and again."""

    name = "fst-distill"

    @staticmethod
    def _trainer(policy: Policy, config: Any, ledger: Ledger) -> ParameterTrainer:
        from cl_bench.slow.distillation import SelfDistillation

        return SelfDistillation(policy, config, ledger)


FST_DISTILL = LearnerFactory(FastSlowDistill, InterleavedConfig, label="FST-distill")
