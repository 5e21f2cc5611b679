"""How a model takes rows of tokens: padded to one width, with a cache of keys and values.

transformers 5.24 renamed `past_key_values` to `cache`, in what models take and in what they return;
before that there is the old name alone, and after it the old one warns.
"""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from cl_bench.contract.errors import ModelError

if TYPE_CHECKING:
    from transformers import Cache, PreTrainedModel

_NEW, _OLD = "cache", "past_key_values"


def left_pad(rows: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    """Token ids (rows, longest row) padded on the left, and the mask of what is no padding."""
    width = max(len(row) for row in rows)
    ids = torch.full((len(rows), width), pad)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for place, row in enumerate(rows):
        ids[place, width - len(row) :] = torch.tensor(row)
        mask[place, width - len(row) :] = 1
    return ids, mask


def cache_of(output: Any, model: PreTrainedModel) -> Cache:
    """The cache in what a model returned; a `ModelError` if its rows cannot be chosen."""
    from transformers import Cache

    cache = getattr(output, _NEW if hasattr(output, _NEW) else _OLD)
    if not isinstance(cache, Cache):
        raise ModelError(
            f"{type(model).__name__} keeps its state in {type(cache).__name__}, not in a Cache "
            "of transformers, whose rows can be chosen. Use another architecture."
        )
    return cache


def cache_argument(model: PreTrainedModel) -> str:
    """The name by which a model takes a cache."""
    return _NEW if _NEW in signature(model.forward).parameters else _OLD
