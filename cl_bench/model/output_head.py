"""The output head, read for a few positions at a time.

The logits of 4,096 tokens over a vocabulary of 150,000 are 2.5 GB, and several such tensors live at
once, though all that is wanted of them is a number or two for each token. So the body of a model is
read for all positions, and its head for as many at a time as the memory's budget holds. With
gradient, the logits of a piece are computed again in the backward pass.

The head is the architecture's own `forward`, whose body returns the states at hand, so that logits
are scaled and capped as the architecture does it. Whether that gives a model's own logits is tried
once (`reads_apart`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from cl_bench.model.gradient_path import vocabulary_in_place
from cl_bench.model.memory import return_freed_memory, scoring_rows

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_TRIED = 4
"""Tokens that a head is tried with."""
_CLOSE = 1e-4
"""How far logits may differ for two ways to compute them, absolutely and relatively."""

_known: WeakKeyDictionary[PreTrainedModel, bool] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class States:
    """What the body of `model` gives its head: (rows, positions, width)."""

    model: PreTrainedModel
    kind: Callable[..., Any]
    """The class of the body's results."""
    hidden: Tensor


def read_states(model: PreTrainedModel, **inputs: Any) -> tuple[Any, States]:
    """Return what `model` makes of `inputs`, with logits of the last position only, and states."""
    found: list[Any] = []
    hook = model.base_model.register_forward_hook(lambda _body, _inputs, out: found.append(out))
    try:
        output = model(**inputs, logits_to_keep=1)
    finally:
        hook.remove()
    (states,) = found
    return output, States(model, type(states), states[0])


def in_pieces(
    measure: Callable[..., tuple[Tensor, ...]],
    read: Sequence[States],
    beside: Sequence[Tensor] = (),
) -> tuple[Tensor, ...]:
    """Return what `measure` returns, (rows, positions) each, computed a few positions at a time.

    It is given logits (positions, vocabulary) of each of `read`, then the same positions of each of
    `beside` (rows, positions). States without gradient get none, nor does their head. Gradients
    come through `backward()` only (see `cl_bench.model.gradient_path`).
    """
    rows, positions = read[0].hidden.shape[:2]
    flat = [*(one.hidden.flatten(0, 1) for one in read), *(one.flatten() for one in beside)]
    learns = torch.is_grad_enabled() and any(part.requires_grad for part in flat)

    def piece(*parts: Tensor) -> tuple[Tensor, ...]:
        logits = [_logits(one, part) for one, part in zip(read, parts, strict=False)]
        return measure(*logits, *parts[len(read) :])

    return_freed_memory()  # else each piece would leave a hole of its size in the heap
    found = []
    size = scoring_rows(read[0].model, 1, rows * positions)
    for first in range(0, rows * positions, size):
        parts = [part[first : first + size] for part in flat]
        if learns:
            done = checkpoint(piece, *parts, use_reentrant=False, preserve_rng_state=False)
        else:
            done = piece(*parts)
        found.append(done)
    return tuple(torch.cat(column).view(rows, positions) for column in zip(*found, strict=True))


def _logits(states: States, hidden: Tensor) -> Tensor:
    """Return the logits (positions, vocabulary) of some of the states, (positions, width)."""
    model, body = states.model, vars(states.model.base_model)
    given = states.kind(last_hidden_state=hidden[None])
    before = {name: value for name, value in body.items() if name == "forward"}
    body["forward"] = lambda *_, **__: given
    learns = torch.is_grad_enabled() and hidden.requires_grad
    try:
        with vocabulary_in_place(model), torch.set_grad_enabled(learns):
            ids = torch.zeros((1, len(hidden)), dtype=torch.long, device=hidden.device)
            logits: Tensor = model(input_ids=ids, use_cache=False).logits[0]
    finally:
        del body["forward"]
        body.update(before)
    return logits


def reads_apart(model: PreTrainedModel) -> bool:
    """Tell whether a model's body and head, read one after the other, give its own logits.

    It is tried with a few tokens, once for each model.
    """
    if model not in _known:
        _known[model] = _tried(model)
    return _known[model]


@torch.no_grad()
def _tried(model: PreTrainedModel) -> bool:
    ids = torch.arange(_TRIED, device=model.device)[None]
    training = model.training
    model.train(False)
    try:
        whole = model(input_ids=ids, use_cache=False).logits[0]
        _, states = read_states(model, input_ids=ids, use_cache=False)
        apart = _logits(states, states.hidden[0])
        return torch.allclose(whole, apart, rtol=_CLOSE, atol=_CLOSE)
    except Exception:  # noqa: BLE001 - an architecture of any make can fail here in any way
        return False
    finally:
        model.train(training)
