"""A model's layers shared out among the ranks of a run, where one GPU cannot hold them (FSDP2).

Each rank holds a part of every layer's weights, gradients and moments, and torch's `fully_shard`
puts a layer together while it is used. Embeddings, output head and last norm stay whole on every
rank, with the ways through the backward pass that are made for them. All ranks have to read the
model equally often: `idle_passes` says how many to add that do not count.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from cl_bench.contract.errors import ModelError, UsageError
from cl_bench.model import ranks

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def share_layers(model: PreTrainedModel, device: str) -> None:
    """Share out the layers of `model`, the same on all ranks, on devices of that kind.

    Raises `ModelError` if the architecture does not say which its layers are, `UsageError` if torch
    is too old.
    """
    if not hasattr(FSDPModule, "set_force_sum_reduction_for_comms"):
        raise UsageError(
            f"Sharing out a model's layers needs torch 2.8 or newer; this is {torch.__version__}. "
            "Type pip install -U torch, or launch without FSDP."
        )
    names = set(model._no_split_modules or ())
    layers = [layer for layer in model.modules() if type(layer).__name__ in names]
    if not layers:
        raise ModelError(
            f"{type(model).__name__} does not say which of its modules are layers, so that they "
            "cannot be shared out among ranks. Launch without FSDP, or give a model of another "
            "architecture."
        )
    mesh = init_device_mesh(device, (ranks.count(),))
    for layer in layers:
        shared: Any = fully_shard(layer, mesh=mesh)
        # Losses are shares of one sum, so that their gradients are added up and not averaged.
        shared.set_gradient_divide_factor(1.0)
        shared.set_force_sum_reduction_for_comms(True)


def shares_layers(model: torch.nn.Module) -> bool:
    """Tell whether `share_layers` was called with `model`."""
    return any(isinstance(weight, DTensor) for weight in model.parameters())


def is_shared(weight: Tensor) -> bool:
    """Tell whether a weight is one of a layer that is shared out."""
    return isinstance(weight, DTensor)


def own_part(weight: Tensor) -> Tensor:
    """Return the part of a weight that this rank holds."""
    return weight.to_local() if isinstance(weight, DTensor) else weight


def whole(weight: Tensor) -> Tensor:
    """Return a weight put together of the parts on all ranks, all of which have to ask for it."""
    # A clone, because parts of unequal size are put together in more memory than they need.
    return weight.full_tensor().clone() if isinstance(weight, DTensor) else weight


def shared_as(weight: Tensor, value: Tensor) -> Tensor:
    """Return a whole `value`, which all ranks have, shared out as `weight` is."""
    if not isinstance(weight, DTensor) or value.dim() == 0:
        return value
    value = value.to(weight.device, weight.dtype)
    return distribute_tensor(value, weight.device_mesh, weight.placements, src_data_rank=None)


def wholes(weights: Mapping[str, Tensor], *, kept: bool = True) -> dict[str, Tensor]:
    """Return the weights; those that had to be put together are on the CPU.

    All ranks have to ask for them; one that does not need these says so, and does not get them.
    """
    found = {}
    for name, weight in weights.items():
        if not is_shared(weight):
            found[name] = weight
        elif kept:
            found[name] = whole(weight).cpu()
        else:
            whole(weight)
    return found


def load_whole_state(model: PreTrainedModel, state: Mapping[str, Tensor]) -> None:
    """Take over a state that `wholes` returned, or what safetensors saved of it, which names tied
    weights once; raise `KeyError` if a weight is not there."""
    left = dict(model.named_parameters())
    with torch.no_grad():
        for name, weight in model.state_dict(keep_vars=True).items():
            if name in state:
                own_part(weight).copy_(own_part(shared_as(weight, state[name])))
                left = {of: other for of, other in left.items() if other is not weight}
    if left:
        raise KeyError(f"{next(iter(left))} is not among the saved weights")


@contextmanager
def put_together(model: PreTrainedModel) -> Iterator[None]:
    """Within this context every rank holds all of `model`, which has to be without gradient.

    Sampling reads a model once a token: putting layers together each time would take longer than
    the reading.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, FSDPModule)]
    for layer in layers:
        layer.set_reshard_after_forward(False)
        layer.unshard()
    try:
        yield
    finally:
        for layer in layers:
            layer.set_reshard_after_forward(True)
            layer.reshard()


def idle_passes(model: torch.nn.Module, own: int) -> int:
    """Return how many passes this rank, which makes `own`, has to add that do not count.

    Where layers are shared out all ranks have to read the model equally often; elsewhere none.
    """
    return max(ranks.gathered(own)) - own if shares_layers(model) else 0


def gradient_norm(weights: Iterable[Tensor]) -> float:
    """Return the norm of the gradients of `weights`, all together."""
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    if not any(isinstance(gradient, DTensor) for gradient in gradients):
        return float(torch.nn.utils.get_total_norm(gradients))
    parts = [own_part(gradient) for gradient in gradients if isinstance(gradient, DTensor)]
    kept = [gradient for gradient in gradients if not isinstance(gradient, DTensor)]
    of_parts = ranks.summed(float(torch.nn.utils.get_total_norm(parts)) ** 2)
    return math.sqrt(of_parts + float(torch.nn.utils.get_total_norm(kept)) ** 2)


def clip_gradients(weights: Iterable[Tensor], most: float) -> float:
    """Cut the gradients of `weights` down to the norm `most`; return the norm they had."""
    weights = [weight for weight in weights if weight.grad is not None]
    if not any(isinstance(weight, DTensor) for weight in weights):
        return float(torch.nn.utils.clip_grad_norm_(weights, most))
    norm = gradient_norm(weights)
    parts = [own_part(weight.grad) for weight in weights if weight.grad is not None]
    torch._foreach_mul_(parts, min(1.0, most / (norm + 1e-6)))
    return norm
