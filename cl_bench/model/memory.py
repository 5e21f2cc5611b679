"""The number of rows in one pass, so that its tensors stay within a fixed size; and the heap.

The budget of a pass is in bytes: tokens times the cost of a token in the model at hand. A budget in
rows would not do: 256 rows of 100 tokens are nothing to the embedded model and gigabytes to one of
135 M parameters.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Hashable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Row = tuple[Hashable, int, int]
"""A prompt, its length and that of a response to it, in tokens."""

CACHE = 384 * 2**20
"""Bytes of keys and values that are held while responses are sampled, at most."""
ACTIVATIONS = 320 * 2**20
"""Bytes that one pass keeps for its gradient, at most."""
LOGITS = 2**23
"""Numbers in one pass's logits without a gradient, at most (32 MB); several such tensors live
at the same time."""
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


def return_what_is_freed(model: PreTrainedModel) -> None:
    """Return the memory of freed tensors to the system at once (on Linux with glibc only).

    By default glibc keeps that memory, in holes between living tensors: 0.2 GB and more beside a
    model of 135 M parameters. For small models the holes are small, and keeping them is faster.
    """
    if sys.platform != "linux" or model.num_parameters() * _NUMBER < _HEAVY:
        return
    # Either call also stops glibc from raising its thresholds by itself.
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, _APART)
        libc.mallopt(_M_TRIM_THRESHOLD, _APART)


def sampling_rows(model: PreTrainedModel, length: int, most: int) -> int:
    """Return how many rows of `length` tokens , prompt and response, to sample together."""
    config: Any = model.config.get_text_config()
    heads = _either(config, "num_key_value_heads", "num_attention_heads", "n_head")
    # Models whose heads are wider than hidden size / heads say so in `head_dim`.
    width = heads * (getattr(config, "head_dim", None) or _head(config))
    # 2: a key and a value for every token and layer.
    return _rows(CACHE, 2 * _layers(config) * width * _NUMBER * length, most)


def gradient_passes(model: PreTrainedModel, rows: Sequence[Row], most: int) -> list[slice]:
    """Cut `rows`, in their order, into passes with gradient of 1 to `most` rows each.

    A pass reads each different prompt once, and pads to its longest prompt and longest response.
    """
    config: Any = model.config.get_text_config()
    cost = _KEPT * _layers(config) * _either(config, "hidden_size", "n_embd") * _NUMBER
    # Greedy: a pass takes rows until one more would exceed the budget; one row it always takes.
    ends: list[int] = []
    first = 0
    for end in range(1, len(rows) + 1):
        full = end - first > most or cost * _tokens(rows[first:end]) > ACTIVATIONS
        if full and end - first > 1:
            ends.append(end - 1)
            first = end - 1
    ends += [len(rows)] if rows else []
    return [slice(first, end) for first, end in pairwise([0, *ends])]


def _tokens(rows: Sequence[Row]) -> int:
    """Return how many tokens a pass over `rows` reads, padding included."""
    read = len({prompt for prompt, _, _ in rows}) * max(length for _, length, _ in rows)
    return read + len(rows) * max(length for _, _, length in rows)


def scoring_rows(model: PreTrainedModel, responses: int, most: int) -> int:
    """Return how many rows of `responses` sampled tokens to compute logits of at once."""
    return _rows(LOGITS, responses * int(model.config.get_text_config().vocab_size), most)


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
