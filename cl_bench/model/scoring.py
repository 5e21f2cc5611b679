"""Log-probabilities, entropies and divergences of given responses.

For training (`response_logits` and the functions that use it) each different prompt is read once
for all its responses, because the rollouts of a group repeat their prompt. Its cache is copied to
the rows that share it, and gradients flow through the copies, so that they are those of whole texts
read row by row. Architectures that cannot go on from a cache with several tokens, or not with a
gradient, read whole texts there too (`cl_bench.model.trial` finds out). Divergences come from whole
texts (`next_tokens`), without gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from cl_bench.model import ranks
from cl_bench.model.gradient_path import cut, layers_recomputed, recomputes, vocabulary_in_place
from cl_bench.model.inputs import cache_argument, cache_of, left_pad
from cl_bench.model.memory import logits_fit, scoring_rows
from cl_bench.model.output_head import States, in_pieces, read_states, reads_apart
from cl_bench.model.sharding import idle_passes

if TYPE_CHECKING:
    from transformers import Cache, PreTrainedModel


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
    return _responses(model, ids, mask, keep, _logits)[0].float()


def response_states(model: PreTrainedModel, ids: Tensor, mask: Tensor, keep: int) -> States:
    """Return the states whose logits are those of `response_logits`."""
    hidden, kind = _responses(model, ids, mask, keep, _states)
    return States(model, kind, hidden)


_Read = tuple[Any, Tensor, Any]
"""A model's output, what is taken of it at each position that was asked for, and its kind."""


def _logits(model: PreTrainedModel, *, last: int, **inputs: Any) -> _Read:
    output = model(**inputs, logits_to_keep=last)
    return output, output.logits, None


def _states(model: PreTrainedModel, *, last: int, **inputs: Any) -> _Read:
    output, states = read_states(model, **inputs)
    return output, states.hidden[:, -last:], states.kind


def _responses(
    model: PreTrainedModel, ids: Tensor, mask: Tensor, keep: int, read: Callable[..., _Read]
) -> tuple[Tensor, Any]:
    """Return what is read at each position that predicts a response token, and its kind."""
    # Layers that are computed again in the backward pass cannot write into a cache.
    again = torch.is_grad_enabled() and recomputes(model)
    parts = _read_whole if again or type(model) in _whole_texts else _read_prompts_once
    with vocabulary_in_place(model), layers_recomputed(model) if again else nullcontext():
        return parts(model, ids, mask, keep, read)


def shared_logits(model: PreTrainedModel, ids: Tensor, mask: Tensor, keep: int) -> Tensor:
    """Return `response_logits`, each different prompt read once."""
    return _read_prompts_once(model, ids, mask, keep, _logits)[0].float()


def text_logits(model: PreTrainedModel, ids: Tensor, mask: Tensor, keep: int) -> Tensor:
    """Return the logits that predict the last `keep` tokens, in float32, each row read whole."""
    return _read_whole(model, ids, mask, keep, _logits)[0].float()


def _read_whole(
    model: PreTrainedModel, ids: Tensor, mask: Tensor, keep: int, read: Callable[..., _Read]
) -> tuple[Tensor, Any]:
    _, found, kind = read(
        model,
        last=keep + 1,
        input_ids=ids,
        attention_mask=mask,
        position_ids=(mask.cumsum(-1) - 1).clamp_min(0),
        use_cache=False,
    )
    return found[:, :-1], kind


def _read_prompts_once(
    model: PreTrainedModel, ids: Tensor, mask: Tensor, keep: int, read: Callable[..., _Read]
) -> tuple[Tensor, Any]:
    # Two prompts are the same if ids and padding are; `places` has the number of each row's prompt.
    prompts, places = torch.unique(
        torch.stack([ids[:, :-keep], mask[:, :-keep]], dim=1), dim=0, return_inverse=True
    )
    # Padding on the left shifts no position; what padding itself gets does not matter, if valid.
    positions = (mask.cumsum(-1) - 1).clamp_min(0)
    output, first, _ = read(
        model,
        last=1,  # only the last position predicts a token of the response
        input_ids=prompts[:, 0],
        attention_mask=prompts[:, 1],
        position_ids=(prompts[:, 1].cumsum(-1) - 1).clamp_min(0),
        use_cache=True,
    )
    cache = cache_of(output, model)
    last = _cut_between(first, cache)
    # From one row a prompt to one row a response; autograd adds up the gradients of the copies.
    cache.reorder_cache(cast(torch.LongTensor, places))
    _, rest, kind = read(
        model,
        last=keep,
        input_ids=ids[:, -keep:],
        attention_mask=mask,
        position_ids=positions[:, -keep:],
        use_cache=True,
        **{cache_argument(model): cache},
    )
    # The prompt's end predicts the first token, each token the next one, the last token nothing.
    return torch.cat([last[places], rest[:, :-1]], dim=1), kind


def _cut_between(last: Tensor, cache: Cache) -> Tensor:
    """`cut` the graph at `last`, which is returned, and in the `cache`, in place.

    A cache is cut at all tensors that its layers hold, whatever they call them, because cache
    classes differ from architecture to architecture.
    """
    if not last.requires_grad:
        return last
    held, layout = tree_flatten([last, *(vars(layer) for layer in cache.layers)])
    tensors = (place for place, value in enumerate(held) if isinstance(value, Tensor))
    places = [place for place in tensors if held[place].requires_grad]
    apart = cut([held[place] for place in places])
    for place, tensor in zip(places, apart, strict=True):
        held[place] = tensor
    last, *layers = tree_unflatten(held, layout)
    for layer, state in zip(cache.layers, layers, strict=True):
        vars(layer).update(state)
    return last


def response_log_probs(
    model: PreTrainedModel, ids: Tensor, mask: Tensor, keep: int, temperature: float
) -> tuple[Tensor, Tensor]:
    """Return the log-probability of every response token, and its distribution's entropy.

    Both are (rows, keep), from rows as in `response_logits`; the entropy is in nats and without
    gradient.
    """

    def measured(logits: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        log_prob = torch.log_softmax(logits.float() / temperature, dim=-1)
        chosen = log_prob.gather(-1, tokens[..., None])[..., 0]
        with torch.no_grad():
            return chosen, _entropy(log_prob)

    tokens = ids[:, -keep:]
    if whole_logits(model, tokens.numel(), learning=torch.is_grad_enabled()):
        return measured(response_logits(model, ids, mask, keep), tokens)
    chosen, entropy = in_pieces(measured, [response_states(model, ids, mask, keep)], [tokens])
    return chosen, entropy


def whole_logits(model: PreTrainedModel, positions: int, *, learning: bool = False) -> bool:
    """Tell whether the logits at so many positions are computed all at once.

    They are where they fit the memory's budget, and for a model whose head cannot be read apart.
    """
    return logits_fit(model, positions, learning=learning) or not reads_apart(model)


def _entropy(log_prob: Tensor) -> Tensor:
    """Return the entropy of each distribution, in nats."""
    prob = log_prob.exp()
    # A token of probability 0 would contribute 0 * inf.
    return -torch.where(prob > 0, prob * log_prob, 0.0).sum(-1)


@torch.no_grad()
def frozen_log_probs(
    model: PreTrainedModel, ids: Tensor, mask: Tensor, keep: int, temperature: float
) -> Tensor:
    """Return the first result of `response_log_probs`, without gradient, a few rows at a time."""
    size, own = scoring_rows(model, keep, len(ids)), ranks.part(len(ids))

    def read(rows: slice) -> Tensor:
        return response_log_probs(model, ids[rows], mask[rows], keep, temperature)[0]

    firsts = range(own.start, own.stop, size)
    parts = [read(slice(first, min(first + size, own.stop))) for first in firsts]
    for _ in range(idle_passes(model, len(parts))):
        read(slice(0, 1))
    if ranks.count() > 1:
        shares = ranks.gathered([part.cpu() for part in parts])
        parts = [part.to(ids.device) for share in shares for part in share]
    return torch.cat(parts)


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


@dataclass(frozen=True, slots=True)
class NextTokens:
    """Distributions over the next token, where the tokens of some responses are.

    (rows, longest response) of them; responses are aligned at their ends.
    """

    tokens: Tensor
    sampled: Tensor
    """True where a response has a token."""
    read: Tensor | States
    """Log-probabilities (rows, longest response, vocabulary), or what they are computed from."""
    scale: float

    def measured(
        self, measure: Callable[..., tuple[Tensor, ...]], *others: NextTokens
    ) -> tuple[Tensor, ...]:
        """Return what `measure` returns, (rows, longest response) each.

        It is given log-probabilities (…, vocabulary) of this and of each of `others`, which are of
        the same responses, then their tokens (…).
        """
        every = (self, *others)
        whole = [one.read for one in every if isinstance(one.read, Tensor)]
        if len(whole) == len(every):
            return measure(*whole, self.tokens)

        def from_logits(*parts: Tensor) -> tuple[Tensor, ...]:
            *logits, tokens = parts
            return measure(*(_log_softmax(it, self.scale) for it in logits), tokens)

        states = [one.read for one in every if isinstance(one.read, States)]
        return in_pieces(from_logits, states, [self.tokens])


@torch.no_grad()
def next_tokens(
    model: PreTrainedModel,
    rows: Sequence[tuple[Sequence[int], Sequence[int]]],
    pad: int,
    temperature: float,
) -> NextTokens:
    """Return the distributions at the responses of (prompt, response) `rows`."""
    ids, mask = left_pad([(*prompt, *response) for prompt, response in rows], pad)
    ids, mask = ids.to(model.device), mask.to(model.device)
    keep = max(len(response) for _, response in rows)
    sampled = torch.zeros((len(rows), keep), dtype=torch.bool, device=model.device)
    for place, (_, response) in enumerate(rows):
        sampled[place, keep - len(response) :] = True
    # Greedy decoding has no distribution of its own; the model's is measured.
    scale = temperature if temperature > 0 else 1.0
    return NextTokens(ids[:, -keep:], sampled, _read_texts(model, ids, mask, keep, scale), scale)


def _read_texts(
    model: PreTrainedModel, ids: Tensor, mask: Tensor, keep: int, scale: float
) -> Tensor | States:
    """Return what predicts the last `keep` tokens of whole texts."""
    texts = {
        "input_ids": ids,
        "attention_mask": mask,
        "position_ids": (mask.cumsum(-1) - 1).clamp_min(0),
        "use_cache": False,
    }
    whole = whole_logits(model, len(ids) * keep)
    training = model.training
    model.train(False)
    try:
        if whole:
            # The last position predicts a token after the response.
            return _log_softmax(model(**texts, logits_to_keep=keep + 1).logits[:, :-1], scale)
        _, states = read_states(model, **texts)
        return replace(states, hidden=states.hidden[:, -keep - 1 : -1])
    finally:
        model.train(training)


def _log_softmax(logits: Tensor, scale: float) -> Tensor:
    return torch.log_softmax(logits.float() / scale, dim=-1)


def own_tokens(read: NextTokens) -> tuple[Tensor, Tensor]:
    """Return the log-probability of each response token, and whether it is the likeliest."""

    def measure(log_p: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        return log_p.gather(-1, tokens[..., None])[..., 0], log_p.argmax(-1) == tokens

    log_prob, likeliest = read.measured(measure)
    return log_prob, likeliest


def compared(p: NextTokens, *others: NextTokens) -> tuple[Tensor, list[Tensor]]:
    """Return the entropy of p, and D_KL(p ‖ q) for each q of `others`: sums over each response."""

    def measure(log_p: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        return _entropy(log_p), *(_divergence(log_p, log_q) for log_q in rest[:-1])

    found = p.measured(measure, *others)
    entropy, *kl = ((measured * p.sampled).sum(-1).cpu() for measured in found)
    return entropy, kl


def _divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    prob = log_p.exp()
    # A token of probability 0 would contribute 0 * inf; and rounding can take a sum below 0.
    return torch.where(prob > 0, prob * (log_p - log_q), 0.0).sum(-1).clamp_min(0.0)
