"""A model's inputs: rows of tokens padded to one width, and a cache of keys and values.

transformers 5.24 renamed `past_key_values` to `cache`, as an argument and as a result. Older
versions have the old name only, and newer ones warn of it. The old name can go here when the oldest
supported version is 5.24.
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
    """Return token ids (rows, longest row), padded on the left, and their mask (1: a token)."""
    width = max(len(row) for row in rows)
    ids = torch.full((len(rows), width), pad)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for place, row in enumerate(rows):
        ids[place, width - len(row) :] = torch.tensor(row)
        mask[place, width - len(row) :] = 1
    return ids, mask


def cache_of(output: Any, model: PreTrainedModel) -> Cache:
    """Return the cache in a model's output; raise `ModelError` if its rows cannot be reordered."""
    from transformers import Cache

    cache = getattr(output, _NEW if hasattr(output, _NEW) else _OLD)
    if not isinstance(cache, Cache):
        raise ModelError(
            f"{type(model).__name__} keeps its state in {type(cache).__name__}, not in a Cache "
            "of transformers, whose rows can be chosen. Use another architecture."
        )
    return cache


def cache_argument(model: PreTrainedModel) -> str:
    """Return the name of the argument by which a model takes a cache."""
    return _NEW if _NEW in signature(model.forward).parameters else _OLD
