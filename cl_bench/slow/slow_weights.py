"""The slow channel: the model's weights, trained by CISPO with GRPO advantages.

Group-relative advantages (arXiv 2402.03300, section 4.1.2): A_i = (r_i - mean_g) / (std_g + 1e-4),
with the sample standard deviation over all G rollouts of an exercise, whatever prompts they used.
CISPO (arXiv 2506.13585, eq. 4) minimises -sum(sg(min(ratio, cap)) A log p) / tokens of the step;
with `loss_average = "exercise"` each exercise's sum is divided by its own tokens instead, and the
mean over the step's exercises is taken (arXiv 2605.12484, eq. 4). Each step learns from what the
current weights sampled, `epochs_per_batch` times. In the first epoch the ratio is 1 and the loss
that of REINFORCE, unless an engine beside the model samples; in later ones it is that of the
weights at hand to those that sampled. Ratios are in the step's record.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import Tensor

from cl_bench.contract.learner import Batch, Ledger
from cl_bench.contract.records import StepRecord
from cl_bench.model import ranks
from cl_bench.model.policy import Policy
from cl_bench.slow.optimizer import ParameterTrainer
from cl_bench.slow.settings import RLConfig
from cl_bench.slow.trl_trainer import MixedPromptTrainer


class SlowWeights(ParameterTrainer):
    """One RL step a batch.

    The G rollouts of an exercise are spread over the system prompts: their counts differ by at most
    one, in a group and over the whole run; `config.prompt_run` rollouts in a row read the same one.
    With a `kl_beta` the loss has a penalty on leaving the frozen base: see `MixedPromptTrainer`.
    """

    counts_file = "slow.json"

    def __init__(self, policy: Policy, config: RLConfig, ledger: Ledger) -> None:
        self._trainer = MixedPromptTrainer(policy, config)
        super().__init__(policy, self._trainer.adam, config)
        self._ledger, self._group_size = ledger, config.group_size
        self._ratio_cap, self._epochs = config.ratio_cap, config.epochs_per_batch

    def _step(self, batch: Batch, prompts: Sequence[str]) -> StepRecord:
        start = time.perf_counter()
        # The prompts' turns go on where the last step ended, so that none is used more over a run.
        result = self._trainer.step(batch, prompts, before=self._rollouts, number=self._steps + 1)
        seconds = time.perf_counter() - start
        count = len(result.reward_N)
        self._steps += 1
        self._rollouts += count
        self._ledger.add(
            "slow",
            rollouts=count,
            prompt_tokens=result.prompt_tokens,
            generated_tokens=result.generated_tokens,
            optimizer_steps=self._epochs,
            seconds=seconds,
        )
        groups = [
            result.reward_N[first : first + self._group_size]
            for first in range(0, count, self._group_size)
        ]
        return StepRecord(
            reward=sum(result.reward_N) / count,
            signal=sum(len(set(group)) > 1 for group in groups) / len(groups),
            loss=sum(result.loss_E) / self._epochs,
            grad_norm=sum(result.grad_norm_E) / self._epochs,
            entropy=result.entropy / result.generated_tokens,
            completion_tokens=result.generated_tokens / count,
            seconds=seconds,
            **self._ratios("sampler_ratio", _of_all_ranks(result.sampler_ratios)),
            **self._ratios("epoch_ratio", _of_all_ranks(result.epoch_ratios)),
        )

    def _ratios(self, name: str, parts: list[Tensor]) -> dict[str, float]:
        """Return the columns of an importance ratio; none where there is none."""
        if not parts:
            return {}
        ratio = torch.cat(parts)
        return {
            name: float(ratio.mean()),
            f"{name}_max": float(ratio.max()),
            f"{name}_cut": float((ratio > self._ratio_cap).float().mean()),
        }


def _of_all_ranks(parts: Sequence[Tensor]) -> list[Tensor]:
    if ranks.count() == 1:
        return list(parts)
    return [part for found in ranks.gathered([part.cpu() for part in parts]) for part in found]
