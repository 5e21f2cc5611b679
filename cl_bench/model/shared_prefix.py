"""What a model says of responses, with each different prompt read once for all its responses.

The rollouts of a group repeat their prompt. Its cache is copied to the rows that share it, on the
gradient's path, so that gradients are those of whole texts read row by row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from cl_bench.model.gradient_path import cut, vocabulary_in_place
from cl_bench.model.kv_cache import argument, cache_of
from cl_bench.model.memory import scoring_rows

if TYPE_CHECKING:
    from transformers import Cache, PreTrainedModel

MOST_LOGITS = 2**26
"""Numbers in one pass's logits up to which they are held at once (256 MB)."""


def response_logits(model: PreTrainedModel, ids: Tensor, mask: Tensor, keep: int) -> Tensor:
    """The logits from which each response token is drawn: (rows, keep, vocabulary), in float32.

    `ids` and `mask` are (rows, length): a prompt padded on the left, then `keep` tokens of a
    response padded on the right. What stands at padding means nothing. Gradients come by
    `backward()` (see `cl_bench.model.gradient_path`).
    """
    with vocabulary_in_place(model):
        return _response_logits(model, ids, mask, keep)


def _response_logits(model: PreTrainedModel, ids: Tensor, mask: Tensor, keep: int) -> Tensor:
    prompts, places = torch.unique(
        torch.stack([ids[:, :-keep], mask[:, :-keep]], dim=1), dim=0, return_inverse=True
    )
    responses = ids[:, -keep:]
    positions = (mask.cumsum(-1) - 1).clamp_min(0)
    read = model(
        input_ids=prompts[:, 0],
        attention_mask=prompts[:, 1],
        position_ids=(prompts[:, 1].cumsum(-1) - 1).clamp_min(0),
        use_cache=True,
        logits_to_keep=1,
    )
    cache = cache_of(read, model)
    last = _cut_between(read.logits, cache)
    cache.reorder_cache(cast(torch.LongTensor, places))
    rest = model(
        input_ids=responses,
        attention_mask=mask,
        position_ids=positions[:, -keep:],
        use_cache=True,
        **{argument(model): cache},
    )
    return torch.cat([last[places], rest.logits[:, :-1]], dim=1).float()


def _cut_between(logits: Tensor, cache: Cache) -> Tensor:
    """`cut` at `logits`, which are returned, and in the `cache`, in place."""
    if not logits.requires_grad:
        return logits
    held, layout = tree_flatten([logits, *(vars(layer) for layer in cache.layers)])
    tensors = (place for place, value in enumerate(held) if isinstance(value, Tensor))
    places = [place for place in tensors if held[place].requires_grad]
    apart = cut([held[place] for place in places])
    for place, tensor in zip(places, apart, strict=True):
        held[place] = tensor
    logits, *layers = tree_unflatten(held, layout)
    for layer, state in zip(cache.layers, layers, strict=True):
        vars(layer).update(state)
    return logits


def response_log_probs(
    model: PreTrainedModel, ids: Tensor, mask: Tensor, keep: int, temperature: float
) -> tuple[Tensor, Tensor]:
    """Log-probability of every response token, and the entropy (nats, no gradient) of its
    distribution; both (rows, keep), from rows as in `response_logits`."""
    log_prob = torch.log_softmax(response_logits(model, ids, mask, keep) / temperature, dim=-1)
    chosen = log_prob.gather(-1, ids[:, -keep:, None])[..., 0]
    with torch.no_grad():
        prob = log_prob.exp()
        entropy = -torch.where(prob > 0, prob * log_prob, 0.0).sum(-1)
    return chosen, entropy


@torch.no_grad()
def frozen_log_probs(
    model: PreTrainedModel, ids: Tensor, mask: Tensor, keep: int, temperature: float
) -> Tensor:
    """The first of `response_log_probs` without gradient, a few rows at a time."""
    rows = scoring_rows(model, keep, len(ids))
    parts = [slice(first, first + rows) for first in range(0, len(ids), rows)]
    return torch.cat(
        [response_log_probs(model, ids[p], mask[p], keep, temperature)[0] for p in parts]
    )
