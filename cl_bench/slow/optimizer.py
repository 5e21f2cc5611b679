"""The common part of all training of parameters: AdamW, state on disk, finite numbers.

Parameters change here and nowhere else, and the policy's sampler is told whenever they have.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import torch
from safetensors.torch import load_file, load_model, save_file, save_model

from cl_bench.contract.errors import DivergedError, UsageError
from cl_bench.contract.learner import Batch
from cl_bench.contract.records import StepRecord
from cl_bench.model import ranks
from cl_bench.model.adapters import adapter_weights, load_adapter_weights
from cl_bench.model.policy import Policy
from cl_bench.model.sharding import (
    clip_gradients,
    is_shared,
    load_whole_state,
    shared_as,
    shares_layers,
    wholes,
)
from cl_bench.slow.settings import SlowConfig
from cl_bench.store.files import read_json, write_json_atomically

WEIGHTS = "model.safetensors"
"""The file of a checkpoint that holds the parameters, or those of the adapter alone."""
_OPTIMIZER = "optimizer.safetensors"


class ParameterTrainer(ABC):
    """Trains `policy.model` in place, one step of AdamW a batch.

    The moments of AdamW live as long as this object and travel with `save` and `load`. A subclass
    says what a step learns.
    """

    counts_file: ClassVar[str]
    """The file of a checkpoint that holds how many steps and rollouts there were."""

    def __init__(self, policy: Policy, adam: torch.optim.Optimizer, config: SlowConfig) -> None:
        self._policy, self._adam = policy, adam
        self._rate, self._warmup = config.learning_rate, config.warmup_steps
        self._most_norm = most_norm(config)
        self._steps = 0
        self._rollouts = 0

    def steps(self, batches: Sequence[Batch], prompts: Sequence[str]) -> Iterator[StepRecord]:
        """Return an iterator that takes one step per batch, each when its record is asked for.

        The rollouts of a step are spread over the system `prompts` (see the subclass). Raises
        `UsageError` at once without prompts or for an empty batch; and the iterator raises
        `DivergedError` when a loss, gradient or reward is not finite, before the weights of that
        step are touched.
        """
        chosen = tuple(prompts)
        if not chosen or not all(batches):
            raise UsageError(
                f"A step was asked for with {len(chosen)} prompts and batches of "
                f"{[len(batch) for batch in batches]} exercises: give at least one of each."
            )
        # A generator, so that the check above runs now and not at the first record.
        return self._each(batches, chosen)

    def save(self, folder: Path) -> None:
        """Write weights, optimizer state and counts into the existing `folder`.

        Of several ranks all have to call this, and one writes the first two.
        """
        model = self._policy.model
        moments = _moments(self._adam, model, kept=ranks.writes())
        if self._policy.has_adapter:
            weights = adapter_weights(model)
            if ranks.writes():
                save_file(weights, folder / WEIGHTS)
        else:
            state = wholes(model.state_dict(), kept=ranks.writes())
            if ranks.writes():
                save_model(_Stateful(state), str(folder / WEIGHTS))  # type: ignore[arg-type]
        if ranks.writes():
            save_file(moments, folder / _OPTIMIZER)
        counts = {"steps": self._steps, "rollouts": self._rollouts}
        write_json_atomically(folder / self.counts_file, counts)

    def load(self, folder: Path) -> None:
        """Take over what `save` wrote, into the policy's model as well."""
        load_parameters(self._policy, folder)
        # AdamW moves its moments to the weights' device, and keeps its counters on the CPU.
        _restore_moments(self._adam, self._policy.model, load_file(folder / _OPTIMIZER))
        counts = read_json(folder / self.counts_file)
        self._steps, self._rollouts = counts["steps"], counts["rollouts"]

    def _each(self, batches: Sequence[Batch], prompts: Sequence[str]) -> Iterator[StepRecord]:
        for batch in batches:
            self._warm_up()
            yield self._step(batch, prompts)

    def _warm_up(self) -> None:
        """Set the learning rate of the next step."""
        rate = self._rate * min(1.0, (self._steps + 1) / max(self._warmup, 1))
        for group in self._adam.param_groups:
            # A scheduler, such as the constant one of TRL's trainer, starts from `initial_lr`.
            group["lr"] = group["initial_lr"] = rate

    def _update(self, losses: Iterator[torch.Tensor]) -> tuple[float, float]:
        """Make one step of AdamW on the sum of `losses`; return that sum and its gradient's norm.

        Each loss is asked for when the one before has gone back, so that only one graph is alive.
        Raises `DivergedError`, before the weights change, if either number is not finite.
        """
        model, loss = self._policy.model, 0.0
        model.train(False)  # without dropout, as in sampling
        self._adam.zero_grad(set_to_none=True)
        for part in losses:
            part.backward()  # type: ignore[no-untyped-call]
            loss += float(part.detach())
        loss = ranks.summed(loss)
        self._check(loss, "loss")
        ranks.sum_gradients(model.parameters())
        norm = clip_gradients(model.parameters(), self._most_norm)
        self._check(norm, "gradient norm")
        self._adam.step()
        return loss, norm

    def _check(self, value: float, name: str) -> None:
        require_finite(value, name, step=self._steps, learning_rate=self._rate)

    @abstractmethod
    def _step(self, batch: Batch, prompts: Sequence[str]) -> StepRecord:
        """Learn from `batch` once and return what was measured."""


def adamw(policy: Policy, learning_rate: float) -> torch.optim.AdamW:
    """Return AdamW, without weight decay, over the policy's parameters that are trained."""
    parameters = _trained(policy.model)
    # A fused update takes either weights of shared layers or others.
    kinds = ([it for it in parameters if is_shared(it) == shared] for shared in (False, True))
    groups = [{"params": kind} for kind in kinds if kind]
    # Fused, it makes no temporary tensors of the size of the largest weight.
    adam = torch.optim.AdamW(groups, lr=learning_rate, weight_decay=0.0, fused=True)
    adam.register_step_post_hook(lambda *_: policy.sampler.weights_changed())
    return adam


def load_parameters(policy: Policy, folder: Path) -> None:
    """Take over the parameters of a checkpoint alone, without the state of their optimizer."""
    if policy.has_adapter:
        load_adapter_weights(policy.model, folder / WEIGHTS)
    elif shares_layers(policy.model):
        load_whole_state(policy.model, load_file(folder / WEIGHTS))
    else:
        load_model(policy.model, folder / WEIGHTS, device=str(policy.device))
    policy.sampler.weights_changed()


def require_finite(value: float, name: str, *, step: int, learning_rate: float) -> None:
    """Raise `DivergedError` unless `value`, the `name` of that step, is finite."""
    if not math.isfinite(value):
        raise _diverged(name, value, step, learning_rate)


def most_norm(config: SlowConfig) -> float:
    """Return the norm that gradients are cut down to; infinite without clipping."""
    return config.max_grad_norm or math.inf


@contextmanager
def finite_sampling(step: int, learning_rate: float) -> Iterator[None]:
    """Let a `DivergedError` of the sampler, which knows no steps, name the step it happened in."""
    try:
        yield
    except DivergedError as error:
        raise _diverged("sampling distribution", math.nan, step, learning_rate) from error


def _diverged(name: str, value: float, step: int, learning_rate: float) -> DivergedError:
    return DivergedError(
        f"Step {step} diverged: its {name} is {value} (learning_rate was {learning_rate:g}). "
        "Every quantity of a step must be finite; lower `learning_rate` and run again."
    )


class _Stateful:
    """What safetensors takes for a model: it asks for its state alone."""

    def __init__(self, state: dict[str, torch.Tensor]) -> None:
        self._state = state

    def state_dict(self) -> dict[str, torch.Tensor]:
        return self._state


def _moments(
    adam: torch.optim.Optimizer, model: torch.nn.Module, *, kept: bool
) -> dict[str, torch.Tensor]:
    """Return AdamW's state as named tensors: `<number of the parameter>.<quantity>`.

    What is put together of shared layers is on the CPU, and left out unless it is to be `kept`.
    """
    moments = {
        f"{n}.{name}": value
        for n, weight in enumerate(_trained(model))
        for name, value in adam.state.get(weight, {}).items()
    }
    return wholes(moments, kept=kept)


def _restore_moments(
    adam: torch.optim.Optimizer, model: torch.nn.Module, saved: dict[str, torch.Tensor]
) -> None:
    weights = _trained(model)
    # The optimizer numbers weights in the order of its groups.
    order = [weight for group in adam.param_groups for weight in group["params"]]
    place = {weight: number for number, weight in enumerate(order)}
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in saved.items():
        number, name = key.split(".")
        weight = weights[int(number)]
        state.setdefault(place[weight], {})[name] = shared_as(weight, value)
    adam.load_state_dict({**adam.state_dict(), "state": state})


def _trained(model: torch.nn.Module) -> list[torch.nn.Parameter]:
    return [weight for weight in model.parameters() if weight.requires_grad]
