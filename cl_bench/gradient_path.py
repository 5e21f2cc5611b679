"""Two shortcuts on the way back through a model that save memory; gradients stay what they are.

Both hold for `backward()` alone, not for `torch.autograd.grad`: gradients are added to the weights
from within the walk, as in checkpointing that re-enters autograd.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def cut(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """`tensors` as they are; their graph is walked back by itself once all gradients are there.

    Where a model is read twice, the second time with what the first one made, autograd would hold
    the gradient of every weight from the second until that from the first is there.
    """
    apart: tuple[Tensor, ...] = _Apart.apply(_mark(), list(tensors))  # type: ignore[no-untyped-call]
    return apart


@contextmanager
def rows_looked_up(model: PreTrainedModel) -> Iterator[None]:
    """Within, the gradient of the model's input embeddings is added to the rows looked up.

    Autograd would make tensors of the whole vocabulary's size in every pass, and hold the output
    head's gradient for them where the two share their weight.
    """
    module: Any = model.get_input_embeddings()
    # Subclasses may do more than look up.
    if type(module) is not torch.nn.Embedding or module.max_norm is not None:
        yield
        return
    handle = module.register_forward_hook(_add_to_rows)
    try:
        yield
    finally:
        handle.remove()


def _mark() -> Tensor:
    """What makes a function's outputs need a gradient, whatever it is given besides."""
    return torch.ones((), requires_grad=True)


def _add_to_rows(module: torch.nn.Embedding, inputs: tuple[Tensor], found: Tensor) -> Tensor:
    if not found.requires_grad:
        return found
    looked_up: Tensor = _LookedUp.apply(  # type: ignore[no-untyped-call]
        _mark(), found.detach(), module, *inputs
    )
    return looked_up


class _Apart(torch.autograd.Function):
    """The tensors come in a list, which autograd does not look into."""

    @staticmethod
    def forward(context: Any, _mark: Tensor, tensors: list[Tensor]) -> tuple[Tensor, ...]:
        context.tensors = tensors
        return tuple(tensor.detach() for tensor in tensors)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[None, None]:
        torch.autograd.backward(context.tensors, gradients)
        return None, None


class _LookedUp(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, _mark: Tensor, found: Tensor, module: torch.nn.Embedding, ids: Tensor
    ) -> Tensor:
        context.module, context.ids = module, ids
        return found.clone()

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[None, None, None, None]:
        weight, unmoved = context.module.weight, context.module.padding_idx
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
        ids = context.ids.flatten()
        rows = gradient.flatten(0, -2).to(weight.dtype)
        if unmoved is not None:
            rows = rows.masked_fill((ids == unmoved)[:, None], 0.0)
        weight.grad.index_add_(0, ids, rows)
        return None, None, None, None
