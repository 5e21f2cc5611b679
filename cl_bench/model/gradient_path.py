"""Shortcuts on the way back through a model that save memory; gradients stay what they are.

They hold for `backward()` alone, not for `torch.autograd.grad`: gradients are added to the weights
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
def vocabulary_in_place(model: PreTrainedModel) -> Iterator[None]:
    """Within, gradients of input embeddings and output head are added to those already there.

    Autograd would make tensors of the whole vocabulary's size in every pass, one for the embeddings
    and one for the head, and a third to add them where the two share their weight.
    """
    embeddings: Any = model.get_input_embeddings()
    head: Any = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    handles: list[Any] = []
    # Subclasses may do more than look up or multiply.
    if type(embeddings) is torch.nn.Embedding and embeddings.max_norm is None:
        handles.append(embeddings.register_forward_hook(_look_up))
    if type(head) is torch.nn.Linear and getattr(head, "bias", None) is None:
        handles.append(head.register_forward_hook(_multiply))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _mark() -> Tensor:
    """What makes a function's outputs need a gradient, whatever it is given besides."""
    return torch.ones((), requires_grad=True)


def _look_up(module: torch.nn.Embedding, inputs: tuple[Tensor], found: Tensor) -> Tensor:
    if not found.requires_grad:
        return found
    looked_up: Tensor = _LookedUp.apply(  # type: ignore[no-untyped-call]
        _mark(), found.detach(), module, *inputs
    )
    return looked_up


def _multiply(module: torch.nn.Linear, inputs: tuple[Tensor], found: Tensor) -> Tensor:
    if not (found.requires_grad and module.weight.requires_grad):
        return found
    multiplied: Tensor = _Multiplied.apply(  # type: ignore[no-untyped-call]
        _mark(), *inputs, found.detach(), module
    )
    return multiplied


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
        ids = context.ids.flatten()
        rows = gradient.flatten(0, -2).to(weight.dtype)
        if unmoved is not None:
            rows = rows.masked_fill((ids == unmoved)[:, None], 0.0)
        _gradient(weight).index_add_(0, ids, rows)
        return None, None, None, None


class _Multiplied(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, _mark: Tensor, hidden: Tensor, found: Tensor, module: torch.nn.Linear
    ) -> Tensor:
        context.hidden, context.module = hidden.detach(), module
        return found.clone()

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[None, Tensor, None, None]:
        hidden, weight = context.hidden, context.module.weight
        rows = gradient.flatten(0, -2).to(weight.dtype)
        _gradient(weight).addmm_(rows.t(), hidden.flatten(0, -2).to(weight.dtype))
        return None, (gradient @ weight.to(gradient.dtype)).to(hidden.dtype), None, None


def _gradient(weight: Tensor) -> Tensor:
    if weight.grad is None:
        weight.grad = torch.zeros_like(weight)
    return weight.grad
