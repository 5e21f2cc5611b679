"""The number of rows in one pass, so that its tensors stay within a budget; and the heap.

The budget of a pass is in bytes: tokens times the cost of a token in the model at hand. A budget in
rows would not do: 256 rows of 100 tokens are nothing to the embedded model and gigabytes to one of
135 M parameters. On a CPU it is the same everywhere, so that a run's numbers are; on a GPU it is a
share of what the card has beside the model, and the same for every run of that model on such cards.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from cl_bench.model.gradient_path import recomputes

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

Row = tuple[Hashable, int, int]
"""A prompt, its length and that of a response to it, in tokens."""

CACHE = 384 * 2**20
"""Bytes of keys and values that are held while responses are sampled, at most, on a CPU."""
ACTIVATIONS = 320 * 2**20
"""Bytes that one pass keeps for its gradient, at most, on a CPU."""
LOGITS = 2**23
"""Numbers in one pass's logits without a gradient, at most (32 MB), on a CPU; several such tensors
live at the same time."""
MOST_LOGITS = 2**26
"""The same of a pass with gradient (256 MB); above, they are computed for a few positions at a
time."""
CACHE_SHARE, ACTIVATIONS_SHARE, LOGITS_SHARE, MOST_LOGITS_SHARE = 0.5, 0.4, 0.02, 0.06
"""The same on a GPU: bytes, as shares of what the card has beside the model. Sampling and training
take turns, and five tensors of logits live at a time."""
_KEPT = 22
"""Vectors of the model's width that a layer keeps for each token of a pass with gradient. An
estimate from measurements."""
_NUMBER = 4
"""Bytes of a number in single precision."""
_HEAVY = 2**28
"""Bytes of a model's weights from which on holes in the heap matter."""
_APART = 2**21
"""Bytes from which on a tensor's memory comes from the system, not from the heap."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""The numbers of these options in malloc.h."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What the tensors of one pass may take: bytes of cache and activations, numbers of logits."""

    cache: int
    activations: int
    logits: int
    most_logits: int

    @classmethod
    def of_cpu(cls) -> Budget:
        return cls(CACHE, ACTIVATIONS, LOGITS, MOST_LOGITS)

    @classmethod
    def of_gpu(cls, spare: int) -> Budget:
        """Of a card with `spare` bytes beside the model; never less than a CPU's."""
        least = cls.of_cpu()
        return cls(
            max(least.cache, int(CACHE_SHARE * spare)),
            max(least.activations, int(ACTIVATIONS_SHARE * spare)),
            max(least.logits, int(LOGITS_SHARE * spare) // _NUMBER),
            max(least.most_logits, int(MOST_LOGITS_SHARE * spare) // _NUMBER),
        )


def budget_of(model: PreTrainedModel) -> Budget:
    """Return the budget of passes of `model`, where it is."""
    if model.device.type != "cuda":
        return Budget.of_cpu()
    return Budget.of_gpu(_card(model.device) - Held.of(model).total)


def _card(device: torch.device) -> int:
    """Return the bytes of a GPU; what is free would make a run depend on its neighbours."""
    import torch

    return int(torch.cuda.get_device_properties(device).total_memory)


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes that are held all the time while a model is trained."""

    weights: int
    base: int
    """The frozen copy; an adapter has none, because the model without it is the base."""
    gradients: int
    moments: int
    """AdamW's, two numbers for each that is trained."""

    @property
    def total(self) -> int:
        return self.weights + self.base + self.gradients + self.moments

    @classmethod
    def of(cls, model: PreTrainedModel) -> Held:
        """Of a model that is trained, or of the base of one."""
        weights = sum(map(_bytes, model.parameters()))
        if not hasattr(model, "peft_config"):
            return cls(weights, weights, weights, 2 * weights)
        adapter = sum(_bytes(it) for it in model.parameters() if it.requires_grad)
        return cls(weights, 0, adapter, 2 * adapter)


def _bytes(weight: torch.Tensor) -> int:
    """Return the bytes of a weight, or of this rank's part of one that is shared out."""
    own = weight.to_local() if hasattr(weight, "to_local") else weight
    return own.numel() * own.element_size()


def return_what_is_freed(model: PreTrainedModel) -> None:
    """Return the memory of freed tensors to the system at once (on Linux with glibc only).

    By default glibc keeps that memory, in holes between living tensors: 0.2 GB and more beside a
    model of 135 M parameters. For small models the holes are small, and keeping them is faster.
    """
    if model.num_parameters() * _NUMBER >= _HEAVY:
        return_freed_memory()


def return_freed_memory() -> None:
    """Return the memory of freed tensors to the system from now on (on Linux with glibc only)."""
    if sys.platform != "linux":
        return
    # Either call also stops glibc from raising its thresholds by itself.
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, _APART)
        libc.mallopt(_M_TRIM_THRESHOLD, _APART)


def sampling_rows(
    model: PreTrainedModel, length: int, most: int, budget: Budget | None = None
) -> int:
    """Return how many rows of `length` tokens, prompt and response, to sample together.

    `budget` is by default that of the model where it is.
    """
    return _rows((budget or budget_of(model)).cache, cache_bytes(model) * length, most)


def cache_bytes(model: PreTrainedModel) -> int:
    """Return the bytes of keys and values of one token."""
    config: Any = model.config.get_text_config()
    heads = _either(config, "num_key_value_heads", "num_attention_heads", "n_head")
    # Models whose heads are wider than hidden size / heads say so in `head_dim`.
    width = heads * (getattr(config, "head_dim", None) or _head(config))
    # 2: a key and a value for every token and layer.
    return 2 * _layers(config) * width * _NUMBER


def gradient_passes(
    model: PreTrainedModel, rows: Sequence[Row], most: int, budget: Budget | None = None
) -> list[slice]:
    """Cut `rows`, in their order, into passes with gradient of 1 to `most` rows each.

    A pass reads each different prompt once, unless layers are recomputed, and pads to its longest
    prompt and longest response.
    """
    cost, shared = activation_bytes(model), not recomputes(model)
    room = (budget or budget_of(model)).activations
    # Greedy: a pass takes rows until one more would exceed the budget; one row it always takes.
    ends: list[int] = []
    first = 0
    for end in range(1, len(rows) + 1):
        full = end - first > most or cost * pass_tokens(rows[first:end], shared=shared) > room
        if full and end - first > 1:
            ends.append(end - 1)
            first = end - 1
    ends += [len(rows)] if rows else []
    return [slice(first, end) for first, end in pairwise([0, *ends])]


def activation_bytes(model: PreTrainedModel) -> int:
    """Return the bytes that a pass with gradient keeps for each token."""
    config: Any = model.config.get_text_config()
    layers = _layers(config)
    # A layer that is recomputed keeps its input; one at a time keeps all.
    vectors = layers + _KEPT if recomputes(model) else layers * _KEPT
    return vectors * _either(config, "hidden_size", "n_embd") * _NUMBER


def pass_tokens(rows: Sequence[Row], *, shared: bool) -> int:
    """Return how many tokens a pass over `rows` reads, padding included."""
    prompts = len({prompt for prompt, _, _ in rows}) if shared else len(rows)
    read = prompts * max(length for _, length, _ in rows)
    return read + len(rows) * max(length for _, _, length in rows)


def scoring_rows(model: PreTrainedModel, responses: int, most: int) -> int:
    """Return how many rows of `responses` sampled tokens to compute logits of at once."""
    return _rows(budget_of(model).logits, responses * vocabulary(model), most)


def logits_fit(model: PreTrainedModel, positions: int, *, learning: bool) -> bool:
    """Tell whether logits at so many positions may stand at once; more may in learning."""
    budget = budget_of(model)
    most = budget.most_logits if learning else budget.logits
    return positions * vocabulary(model) <= most


def vocabulary(model: PreTrainedModel) -> int:
    """Return how many tokens a distribution is over."""
    return int(model.config.get_text_config().vocab_size)


def _rows(budget: int, cost: int, most: int) -> int:
    return max(1, min(most, budget // max(1, cost)))


def _layers(config: Any) -> int:
    return _either(config, "num_hidden_layers", "n_layer")


def _head(config: Any) -> int:
    width = _either(config, "hidden_size", "n_embd")
    return width // _either(config, "num_attention_heads", "n_head")


def _either(config: Any, *names: str) -> int:
    """Return the first of those fields that the configuration has, or 1."""
    found = (getattr(config, name, None) for name in names)
    return next((value for value in found if isinstance(value, int) and value > 0), 1)
