"""What every way of training the parameters shares: AdamW, its state on disk, finite numbers.

Here alone do parameters change, and the policy's sampler is told whenever they have.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, load_model, save_file, save_model

from cl_bench.contract.errors import DivergedError

if TYPE_CHECKING:
    from cl_bench.model.policy import Policy

WEIGHTS = "model.safetensors"
"""The file of a checkpoint that holds the parameters."""
_OPTIMIZER = "optimizer.safetensors"


def adamw(policy: Policy, learning_rate: float) -> torch.optim.AdamW:
    """AdamW, without weight decay, of the policy's parameters that are trained."""
    parameters = [weight for weight in policy.model.parameters() if weight.requires_grad]
    # Fused, it makes no temporary tensors of the size of the largest weight.
    adam = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.0, fused=True)
    adam.register_step_post_hook(lambda *_: policy.sampler.weights_changed())
    return adam


def save_weights(policy: Policy, adam: torch.optim.Optimizer, folder: Path) -> None:
    """Write weights and optimizer state into the existing `folder`."""
    save_model(policy.model, str(folder / WEIGHTS))
    save_file(_moments(adam), folder / _OPTIMIZER)


def load_weights(policy: Policy, adam: torch.optim.Optimizer, folder: Path) -> None:
    """Take over what `save_weights` wrote, onto the device where the model is."""
    load_parameters(policy, folder)
    # AdamW moves its moments to the weights' device, and keeps its counters on the CPU.
    _restore_moments(adam, load_file(folder / _OPTIMIZER))


def load_parameters(policy: Policy, folder: Path) -> None:
    """Take over the parameters alone, for what will not go on with this training."""
    load_model(policy.model, folder / WEIGHTS, device=str(policy.device))
    policy.sampler.weights_changed()


def require_finite(value: float, name: str, *, step: int, learning_rate: float) -> None:
    """Raise `DivergedError` unless `value`, the `name` of that step, is finite."""
    if not math.isfinite(value):
        raise diverged(name, value, step, learning_rate)


def diverged(name: str, value: float, step: int, learning_rate: float) -> DivergedError:
    """The error of a step whose `name` is `value`."""
    return DivergedError(
        f"Step {step} diverged: its {name} is {value} (learning_rate was {learning_rate:g}). "
        "Every quantity of a step must be finite; lower `learning_rate` and run again."
    )


@contextmanager
def finite_sampling(step: int, learning_rate: float) -> Iterator[None]:
    """Name the step in which the policy's distribution was not finite."""
    try:
        yield
    except DivergedError as error:
        raise diverged("sampling distribution", math.nan, step, learning_rate) from error


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
