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


def prompts_and_responses(
    rows: Sequence[tuple[Sequence[int], Sequence[int]]], pad: int, device: torch.device
) -> tuple[Tensor, Tensor, int]:
    """Return token ids (rows, length) of (prompt, response) pairs, their mask, and the responses'
    width.

    Prompts are padded on the left and responses on the right, so that all responses begin in the
    same column.
    """
    prompts, prompt_mask = left_pad([prompt for prompt, _ in rows], pad)
    responses = torch.nn.utils.rnn.pad_sequence(
        [torch.tensor(response) for _, response in rows], batch_first=True
    )
    width = responses.shape[1]
    lengths = torch.tensor([len(response) for _, response in rows])
    mask = (torch.arange(width) < lengths[:, None]).long()
    ids, mask = torch.cat([prompts, responses], dim=1), torch.cat([prompt_mask, mask], dim=1)
    return ids.to(device), mask.to(device), width


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
