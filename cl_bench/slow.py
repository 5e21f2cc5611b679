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

import torch
from safetensors.torch import load_file, load_model, save_file, save_model

from cl_bench.errors import UsageError
from cl_bench.files import read_json, write_json_atomically
from cl_bench.learner import Batch, LearnerConfig, Ledger, StepRecord
from cl_bench.policy import Policy

_WEIGHTS, _OPTIMIZER, _COUNTS = "model.safetensors", "optimizer.safetensors", "slow.json"


class SlowWeights:
    """Trains `policy.model` in place with AdamW at a constant learning rate.

    Reads from `config`: learning_rate, group_size, ratio_cap, temperature, max_new_tokens. The
    moments of AdamW live as long as this object and travel with `save` and `load`.
    """

    def __init__(self, policy: Policy, config: LearnerConfig, ledger: Ledger) -> None:
        # Importing TRL takes seconds; a run that only trains prompts never needs it.
        from cl_bench.trl_trainer import MixedPromptTrainer

        self._policy = policy
        self._ledger = ledger
        self._group_size = config.group_size
        self._trainer = MixedPromptTrainer(policy, config)
        self._steps = 0
        self._rollouts = 0

    def steps(self, batches: Sequence[Batch], prompts: Sequence[str]) -> Iterator[StepRecord]:
        """One optimizer step per batch, in order; each is taken when its record is asked for.

        The G rollouts of an exercise are spread over the system `prompts`: their counts differ by
        at most one, in a group and over the whole run. Raises `DivergedError` when the loss, the
        gradient or a reward is not finite; the weights are then those before that step.
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
        save_model(self._policy.model, str(folder / _WEIGHTS))
        save_file(_moments(self._trainer.adam), folder / _OPTIMIZER)
        counts = {"steps": self._steps, "rollouts": self._rollouts}
        write_json_atomically(folder / _COUNTS, counts)

    def load(self, folder: Path) -> None:
        """Take over what `save` wrote, into the policy's model as well."""
        device = self._policy.device
        load_model(self._policy.model, folder / _WEIGHTS, device=str(device))
        _restore_moments(self._trainer.adam, load_file(folder / _OPTIMIZER))
        counts = read_json(folder / _COUNTS)
        self._steps, self._rollouts = counts["steps"], counts["rollouts"]

    def _step(self, batch: Batch, prompts: Sequence[str]) -> StepRecord:
        start = time.perf_counter()
        # Going on where the last step ended, so that over a run no prompt is used more.
        result = self._trainer.step(
            batch, prompts, offset=self._rollouts % len(prompts), number=self._steps + 1
        )
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


def _moments(adam: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """AdamW's state as named tensors: `<number of the parameter>.<quantity>`."""
    state = adam.state_dict()["state"]
    return {f"{n}.{name}": value for n, held in state.items() for name, value in held.items()}


def _restore_moments(adam: torch.optim.Optimizer, saved: dict[str, torch.Tensor]) -> None:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in saved.items():
        number, name = key.split(".")
        state.setdefault(int(number), {})[name] = value
    adam.load_state_dict({**adam.state_dict(), "state": state})
