"""Log-probabilities, entropies and divergences of given responses.

For training (`response_logits` and the functions that use it) each different prompt is read once
for all its responses, because the rollouts of a group repeat their prompt. Its cache is copied to
the rows that share it, and gradients flow through the copies, so that they are those of whole texts
read row by row. Architectures that cannot go on from a cache with several tokens, or not with a
gradient, read whole texts there too (`cl_bench.model.trial` finds out). Divergences come from whole
texts (`text_log_probs`), without gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from cl_bench.model.gradient_path import cut, vocabulary_in_place
from cl_bench.model.inputs import cache_argument, cache_of, left_pad
from cl_bench.model.memory import scoring_rows

if TYPE_CHECKING:
    from transformers import Cache, PreTrainedModel

MOST_LOGITS = 2**26
"""Numbers in the logits of one pass with gradient, at most (256 MB); above, TRL's fused head is
used, which never holds all of them."""
_whole_texts: set[type] = set()
"""Architectures that cannot go on from a prompt's cache, as `read_whole_texts` was told."""


def read_whole_texts(kind: type[PreTrainedModel]) -> None:
    """From now on, read every response of models of that class together with its prompt."""
    _whole_texts.add(kind)


def response_logits(model: PreTrainedModel, ids: Tensor, mask: Tensor, keep: int) -> Tensor:
    """Return the logits that predict each response token: (rows, keep, vocabulary), in float32.

    `ids` and `mask` are (rows, length): a prompt padded on the left, then `keep` tokens of a
    response padded on the right. The values at padding are meaningless. Gradients come through
    `backward()` only (see `cl_bench.model.gradient_path`).
    """
    with vocabulary_in_place(model):
        if type(model) in _whole_texts:
            return text_logits(model, ids, mask, keep)
        return shared_logits(model, ids, mask, keep)


def shared_logits(model: PreTrainedModel, ids: Tensor, mask: Tensor, keep: int) -> Tensor:
    """Return `response_logits`, each different prompt read once."""
    # Two prompts are the same if ids and padding are; `places` has the number of each row's prompt.
    prompts, places = torch.unique(
        torch.stack([ids[:, :-keep], mask[:, :-keep]], dim=1), dim=0, return_inverse=True
    )
    responses = ids[:, -keep:]
    # Padding on the left shifts no position; what padding itself gets does not matter, if valid.
    positions = (mask.cumsum(-1) - 1).clamp_min(0)
    read = model(
        input_ids=prompts[:, 0],
        attention_mask=prompts[:, 1],
        position_ids=(prompts[:, 1].cumsum(-1) - 1).clamp_min(0),
        use_cache=True,
        logits_to_keep=1,  # only the last position predicts a token of the response
    )
    cache = cache_of(read, model)
    last = _cut_between(read.logits, cache)
    # From one row a prompt to one row a response; autograd adds up the gradients of the copies.
    cache.reorder_cache(cast(torch.LongTensor, places))
    rest = model(
        input_ids=responses,
        attention_mask=mask,
        position_ids=positions[:, -keep:],
        use_cache=True,
        **{cache_argument(model): cache},
    )
    # The prompt's end predicts the first token, each token the next one, the last token nothing.
    return torch.cat([last[places], rest.logits[:, :-1]], dim=1).float()


def text_logits(model: PreTrainedModel, ids: Tensor, mask: Tensor, keep: int) -> Tensor:
    """Return the logits that predict the last `keep` tokens, in float32, each row read whole."""
    read = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=(mask.cumsum(-1) - 1).clamp_min(0),
        use_cache=False,
        logits_to_keep=keep + 1,
    )
    logits: Tensor = read.logits[:, :-1]  # the last position predicts a token after the response
    return logits.float()


def _cut_between(logits: Tensor, cache: Cache) -> Tensor:
    """`cut` the graph at the `logits`, which are returned, and in the `cache`, in place.

    A cache is cut at all tensors that its layers hold, whatever they call them, because cache
    classes differ from architecture to architecture.
    """
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
    """Return the log-probability of every response token, and its distribution's entropy.

    Both are (rows, keep), from rows as in `response_logits`; the entropy is in nats and without
    gradient.
    """
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
    """Return the first result of `response_log_probs`, without gradient, a few rows at a time."""
    rows = scoring_rows(model, keep, len(ids))
    parts = [slice(first, first + rows) for first in range(0, len(ids), rows)]
    return torch.cat(
        [response_log_probs(model, ids[p], mask[p], keep, temperature)[0] for p in parts]
    )


@dataclass(frozen=True, slots=True)
class Divergence:
    """Exact D_KL(p ‖ q) along sampled responses, in nats, and the entropy of p there.

    Each tensor has one number a response, summed over its tokens.
    """

    kl_N: Tensor
    """D_KL(p ‖ q), both under the response's own prompt."""
    entropy_N: Tensor
    tokens_N: Tensor
    """Counts of tokens."""
    deployed_N: Tensor
    """The divergence from the base under the seed prompt, whatever the response's own prompt."""

    @property
    def per_token(self) -> float:
        """Mean divergence of a token, over all tokens."""
        return float(self.kl_N.sum() / self.tokens_N.sum())

    @property
    def per_sequence(self) -> float:
        """Mean over responses of the divergence summed over their tokens."""
        return float(self.kl_N.mean())

    @property
    def deployed_per_token(self) -> float:
        """`per_token` of the divergence from the base under the seed prompt."""
        return float(self.deployed_N.sum() / self.tokens_N.sum())

    @property
    def deployed_per_sequence(self) -> float:
        """`per_sequence` of the divergence from the base under the seed prompt."""
        return float(self.deployed_N.mean())

    @property
    def entropy(self) -> float:
        """Mean entropy of a token, over all tokens."""
        return float(self.entropy_N.sum() / self.tokens_N.sum())


def text_log_probs(
    model: PreTrainedModel,
    rows: Sequence[tuple[Sequence[int], Sequence[int]]],
    pad: int,
    temperature: float,
) -> tuple[Tensor, Tensor]:
    """Return log-probabilities at the responses of (prompt, response) `rows`, and their mask.

    Shapes are (rows, longest response, vocabulary) and (rows, longest response). Responses are
    aligned at their ends; the mask is true where a response has a token.
    """
    ids, mask = left_pad([(*prompt, *response) for prompt, response in rows], pad)
    ids, mask = ids.to(model.device), mask.to(model.device)
    keep = max(len(response) for _, response in rows)
    sampled = torch.zeros((len(rows), keep), dtype=torch.bool, device=model.device)
    for place, (_, response) in enumerate(rows):
        sampled[place, keep - len(response) :] = True
    return _next_log_probs(model, ids, mask, keep, temperature), sampled


def divergence_of(log_p: Tensor, log_q: Tensor, sampled: Tensor) -> Tensor:
    """Return D_KL(p ‖ q) summed over the tokens of each row, from two of `text_log_probs`."""
    prob = log_p.exp()
    # A token of probability 0 would contribute 0 * inf; and rounding can take a sum below 0.
    kl = torch.where(prob > 0, prob * (log_p - log_q), 0.0).sum(-1).clamp_min(0.0)
    return (kl * sampled).sum(-1).cpu()


def entropy_of(log_p: Tensor, sampled: Tensor) -> Tensor:
    """Return the entropy of p summed over the tokens of each row, from `text_log_probs`."""
    prob = log_p.exp()
    entropy = -torch.where(prob > 0, prob * log_p, 0.0).sum(-1)
    return (entropy * sampled).sum(-1).cpu()


def _next_log_probs(
    model: PreTrainedModel, ids: Tensor, mask: Tensor, keep: int, temperature: float
) -> Tensor:
    """Return log-probabilities (rows, keep, vocabulary) that predict the last `keep` tokens."""
    training = model.training
    model.train(False)
    logits = text_logits(model, ids, mask, keep)
    model.train(training)
    # Greedy decoding has no distribution of its own; the model's is measured.
    scale = temperature if temperature > 0 else 1.0
    return torch.log_softmax(logits / scale, dim=-1)
