"""The slow channel: the model's weights, trained by GRPO advantages and the CISPO loss.

Group-relative advantages (arXiv 2402.03300, section 4.1.2): A_i = (r_i - mean_g) / (std_g + 1e-4),
with the sample standard deviation over all G rollouts of an exercise, whatever prompts they used.
CISPO (arXiv 2506.13585, eq. 4) minimises -sum(sg(min(ratio, cap)) A log p) / tokens of the step.
Each step learns once from what the current weights sampled, so here the ratio is 1.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from cl_bench.contract.errors import UsageError
from cl_bench.contract.learner import Batch, Ledger, StepRecord
from cl_bench.model.policy import Policy
from cl_bench.slow.optimizer import load_weights, save_weights
from cl_bench.slow.settings import RLConfig
from cl_bench.store.files import read_json, write_json_atomically

_COUNTS = "slow.json"


class SlowWeights:
    """Trains `policy.model` in place with AdamW at a constant learning rate.

    The moments of AdamW live as long as this object and travel with `save` and `load`. With
    `kl_beta` the loss has a penalty on leaving the frozen base: see `MixedPromptTrainer`.
    """

    def __init__(
        self, policy: Policy, config: RLConfig, ledger: Ledger, *, kl_beta: float = 0.0
    ) -> None:
        # Importing TRL takes seconds; a run that only trains prompts never needs it.
        from cl_bench.slow.trl_trainer import MixedPromptTrainer

        self._policy = policy
        self._ledger = ledger
        self._group_size = config.group_size
        self._trainer = MixedPromptTrainer(policy, config, kl_beta=kl_beta)
        self._steps = 0
        self._rollouts = 0

    def steps(self, batches: Sequence[Batch], prompts: Sequence[str]) -> Iterator[StepRecord]:
        """One optimizer step per batch, in order; each is taken when its record is asked for.

        The G rollouts of an exercise are spread over the system `prompts`: their counts differ by
        at most one, in a group and over the whole run; `config.prompt_run` rollouts in a row read
        the same prompt. Raises
        `DivergedError` when the loss, the gradient or a reward is not finite; the weights are then
        those before that step.
        """
        chosen = tuple(prompts)
        if not chosen or not all(batches):
            raise UsageError(
                f"A step was asked for with {len(chosen)} prompts and batches of "
                f"{[len(batch) for batch in batches]} exercises: give at least one of each."
            )
        return (self._step(batch, chosen) for batch in batches)

    def save(self, folder: Path) -> None:
        """Write weights, optimizer state and counts into the existing `folder`."""
        save_weights(self._policy, self._trainer.adam, folder)
        counts = {"steps": self._steps, "rollouts": self._rollouts}
        write_json_atomically(folder / _COUNTS, counts)

    def load(self, folder: Path) -> None:
        """Take over what `save` wrote, into the policy's model as well."""
        load_weights(self._policy, self._trainer.adam, folder)
        counts = read_json(folder / _COUNTS)
        self._steps, self._rollouts = counts["steps"], counts["rollouts"]

    def _step(self, batch: Batch, prompts: Sequence[str]) -> StepRecord:
        start = time.perf_counter()
        # Going on where the last step ended, so that over a run no prompt is used more.
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
            optimizer_steps=1,
            seconds=seconds,
        )
        groups = [
            result.reward_N[first : first + self._group_size]
            for first in range(0, count, self._group_size)
        ]
        return StepRecord(
            reward=sum(result.reward_N) / count,
            signal=sum(len(set(group)) > 1 for group in groups) / len(groups),
            loss=result.loss,
            grad_norm=result.grad_norm,
            entropy=result.entropy / result.generated_tokens,
            completion_tokens=result.generated_tokens / count,
            seconds=seconds,
        )
