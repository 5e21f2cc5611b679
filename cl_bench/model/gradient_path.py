"""Ways through the backward pass that save memory and leave every gradient as it is.

The first two work with `backward()` alone, not with `torch.autograd.grad`: gradients are added to
`weight.grad` from within the backward pass, as in checkpointing that re-enters autograd.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from cl_bench.contract.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

RECOMPUTATION = {"use_reentrant": False}
"""How layers are computed again: so that inputs need no gradient, as those of adapters do not."""


def cut(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Return `tensors` with equal values, cut off from the graph that made them.

    That graph gets a backward pass of its own, as soon as the gradients of all `tensors` are known.
    Where a model is read twice, and the second reading uses results of the first, autograd would
    run one backward pass over both, and hold the second reading's gradient of every weight until
    the first reading's is there to be added.
    """
    apart: tuple[Tensor, ...] = _Apart.apply(_mark(), list(tensors))  # type: ignore[no-untyped-call]
    return apart


@contextmanager
def vocabulary_in_place(model: PreTrainedModel) -> Iterator[None]:
    """Within this context, gradients of embeddings and output head are added in place.

    Autograd would make two tensors of the whole vocabulary's size in every pass, one for the
    embeddings and one for the head, and a third to add them where the two share their weight.
    """
    embeddings: Any = model.get_input_embeddings()
    head: Any = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    handles: list[Any] = []
    # Only the plain classes: a subclass may do more than look up or multiply, and the backward
    # passes below know nothing of it.
    if type(embeddings) is torch.nn.Embedding and embeddings.max_norm is None:
        handles.append(embeddings.register_forward_hook(_look_up))
    if type(head) is torch.nn.Linear and getattr(head, "bias", None) is None:
        handles.append(head.register_forward_hook(_multiply))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def recompute_layers(model: PreTrainedModel) -> None:
    """Have the layers of `model` computed again in the backward pass (arXiv 1604.06174).

    Each keeps its input only; it is so within `layers_recomputed`. The model's dropout is turned
    off. Raises `ModelError` for an architecture without such layers.
    """
    enable = getattr(model, "activation_checkpointing_enable", None)
    # transformers 5.24 renamed it; the old name can go when that is the oldest supported version.
    enable = enable or model.gradient_checkpointing_enable
    try:
        enable(RECOMPUTATION)
    except ValueError as error:
        raise ModelError(
            f"{type(model).__name__} cannot compute its layers again in the backward pass: leave "
            "out gradient_checkpointing, or give a model of another architecture."
        ) from error
    turn_dropout_off(model)


def recomputes(model: PreTrainedModel) -> bool:
    """Tell whether `recompute_layers` was called with `model`."""
    return any(getattr(module, "gradient_checkpointing", False) for module in model.modules())


@contextmanager
def layers_recomputed(model: PreTrainedModel) -> Iterator[None]:
    """Within this context, passes with gradient keep the inputs of layers only."""
    # transformers does so in training mode, which only the layers themselves need to be in.
    layers = [module for module in model.modules() if hasattr(module, "gradient_checkpointing")]
    before = [layer.training for layer in layers]
    for layer in layers:
        layer.training = True
    try:
        yield
    finally:
        for layer, training in zip(layers, before, strict=True):
            layer.training = training


def turn_dropout_off(model: PreTrainedModel) -> None:
    """Turn off a model's dropout: its modules, and what attention layers keep as a number."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        for name, value in list(vars(module).items()):
            if "dropout" in name and isinstance(value, float):
                setattr(module, name, 0.0)


def _mark() -> Tensor:
    """Return an input that makes an autograd function's outputs need a gradient.

    The other inputs are detached, or in a list, and would not.
    """
    return torch.ones((), requires_grad=True)


def _look_up(module: torch.nn.Embedding, inputs: tuple[Tensor], found: Tensor) -> Tensor:
    # With recomputed layers, transformers has results of frozen embeddings need a gradient.
    if not (found.requires_grad and module.weight.requires_grad):
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
    """Passes tensors on, and starts a backward pass of their graph when their gradients are known.

    The tensors come in a list, because autograd does not look into lists: so the graph ends here.
    """

    @staticmethod
    def forward(context: Any, _mark: Tensor, tensors: list[Tensor]) -> tuple[Tensor, ...]:
        context.tensors = tensors
        return tuple(tensor.detach() for tensor in tensors)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[None, None]:
        torch.autograd.backward(context.tensors, gradients)
        return None, None


class _LookedUp(torch.autograd.Function):
    """Passes on `found`, looked up before; adds its gradient to the embedding's rows of `ids`."""

    @staticmethod
    def forward(
        context: Any, _mark: Tensor, found: Tensor, module: torch.nn.Embedding, ids: Tensor
    ) -> Tensor:
        context.module, context.ids = module, ids
        return found.clone()  # autograd takes an input that is returned for untouched

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[None, None, None, None]:
        weight, padding = context.module.weight, context.module.padding_idx
        ids = context.ids.flatten()
        rows = gradient.flatten(0, -2).to(weight.dtype)
        if padding is not None:  # `torch.nn.Embedding` never trains this row
            rows = rows.masked_fill((ids == padding)[:, None], 0.0)
        _gradient(weight).index_add_(0, ids, rows)
        return None, None, None, None


class _Multiplied(torch.autograd.Function):
    """Passes on `found`, multiplied before; adds the weight's gradient in place."""

    @staticmethod
    def forward(
        context: Any, _mark: Tensor, hidden: Tensor, found: Tensor, module: torch.nn.Linear
    ) -> Tensor:
        context.hidden, context.module = hidden.detach(), module
        return found.clone()  # autograd takes an input that is returned for untouched

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
