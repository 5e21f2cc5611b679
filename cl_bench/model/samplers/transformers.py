"""The policy's own model as its sampler.

Responses have the same distribution as those of transformers' `generate` (temperature, nothing
truncated), for less work:

- equal prompts, such as those of a group's rollouts, are read once and their cache is copied;
- rows that have ended leave the batch;
- of several ranks (`cl_bench.model.ranks`) each continues some rows of a batch, and all make the
  same number of steps. All draw the noise of the whole batch, so that responses are those of one;
- log-probability and entropy of every sampled token are kept, so that no later pass is needed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from math import isnan
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from cl_bench.contract.errors import DivergedError
from cl_bench.model import ranks
from cl_bench.model.inputs import cache_argument, cache_of, left_pad
from cl_bench.model.memory import sampling_rows
from cl_bench.model.samplers.protocol import Sampled, SamplingPolicy
from cl_bench.model.sharding import put_together

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_ROWS = 256
"""Responses sampled at once, where memory allows."""
_FULL_ENOUGH = 0.8
"""Rows that have ended are taken out once the share of the others falls below this; not at once,
because copying the cache costs as well."""


class TransformersSampler:
    """Continues rows with the policy's model itself, whose weights are always the current ones."""

    engine = "transformers"
    own_model = True

    def __init__(self, policy: SamplingPolicy) -> None:
        self._policy = policy

    def sample(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        max_new_tokens: int,
        temperature: float,
        from_base: bool = False,
    ) -> list[Sampled]:
        """Return what `Sampler.sample` promises; rows of like length share a batch."""
        policy = self._policy
        # By length, so that little of a batch is padding.
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        longest = max(map(len, prompts), default=0) + max_new_tokens
        found: dict[int, Sampled] = {}
        weights = policy.base() if from_base else nullcontext(policy.model)
        with weights as model, evaluating(model), put_together(model), policy.autocast():
            rows = sampling_rows(model, longest, _ROWS)
            for chunk in (order[first : first + rows] for first in range(0, len(order), rows)):
                sampled = respond(
                    model,
                    [prompts[i] for i in chunk],
                    pad=policy.pad_id,
                    ends=policy.end_ids,
                    max_new_tokens=max_new_tokens,
                    temperature=temperature,
                )
                found.update(zip(chunk, sampled, strict=True))
        return [found[i] for i in range(len(prompts))]

    def weights_changed(self) -> None:
        """Do nothing: no copy of the weights is kept."""


@contextmanager
def evaluating(model: PreTrainedModel) -> Iterator[None]:
    """Have the model in evaluation mode within this context."""
    training = model.training
    model.train(False)
    try:
        yield
    finally:
        model.train(training)


@torch.no_grad()
def respond(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    *,
    pad: int,
    ends: Collection[int],
    max_new_tokens: int,
    temperature: float,
) -> list[Sampled]:
    """Return a response to each prompt (token ids, at least one), from torch's global generator.

    `ends` are the tokens that end a response; temperature 0 is greedy. `model` must be in
    evaluation mode. Raises `ModelError` for a model whose state is not a `Cache` of transformers,
    and `DivergedError` for logits that are not finite.
    """
    own = ranks.part(len(prompts))
    # A rank without rows goes along with one that is not its own.
    batch = _Batch(model, prompts, own or range(1), pad)
    sampled = [Sampled() for _ in prompts]
    broken = len(prompts)
    there, over = [*range(len(prompts))], set[int]()
    stops = torch.tensor(sorted(ends), device=model.device)
    for count in range(1, max_new_tokens + 1):
        place_of = {row: place for place, row in enumerate(there)}
        # A rank whose rows have all ended goes along with one that has; its draws do not count.
        places = [place_of.get(row, 0) for row in batch.rows]
        tokens_N, log_prob_N, entropy_N = _draw(batch.logits, temperature, places, len(there))
        # One transfer from a GPU for each list, not one for each number.
        drawn = (tokens_N, log_prob_N, entropy_N, torch.isin(tokens_N, stops))
        for row, token, log_prob, entropy, ended in zip(
            batch.rows, *(values_N.tolist() for values_N in drawn), strict=True
        ):
            if isnan(log_prob):
                over.add(broken)
            if not sampled[row].ended:  # an ended row stays in the batch until enough others end
                sampled[row].tokens.append(token)
                sampled[row].log_probs.append(log_prob)
                sampled[row].entropy += entropy
                sampled[row].ended = ended
            if sampled[row].ended and row in own:
                over.add(row)
        over = {*ranks.found_by_any(over, len(prompts) + 1)}
        if broken in over:
            raise DivergedError("the policy's distribution over the next token is not finite")
        going = [row for row in there if row not in over]
        if not going or count == max_new_tokens:
            break
        if len(going) < _FULL_ENOUGH * len(there):
            there = going
            kept = batch.keep(going)
            tokens_N = tokens_N[kept]
        batch.advance(tokens_N)
    return [done for part in ranks.gathered([sampled[row] for row in own]) for done in part]


class _Batch:
    """Rows that are being continued: their cache, their mask and the logits of the next token."""

    logits: Tensor
    """(rows, vocabulary)."""

    def __init__(
        self, model: PreTrainedModel, prompts: Sequence[Sequence[int]], rows: range, pad: int
    ) -> None:
        self._model, self._argument = model, cache_argument(model)
        self.rows = list(rows)
        """The number of each row's prompt."""
        # A dict keeps the order, so that the same call always makes the same batch.
        asked = [tuple(prompts[row]) for row in rows]
        different = list(dict.fromkeys(asked))
        place = {prompt: number for number, prompt in enumerate(different)}
        ids, mask = left_pad(different, pad)
        self._mask = mask.to(model.device)
        output = model(
            input_ids=ids.to(model.device),
            attention_mask=self._mask,
            position_ids=(self._mask.cumsum(-1) - 1).clamp_min(0),
            use_cache=True,
            logits_to_keep=1,
        )
        self._cache = cache_of(output, model)
        self.logits = output.logits[:, -1]
        if len(different) < len(asked):  # from one row a prompt to one row a response
            self._take([place[prompt] for prompt in asked])

    def keep(self, going: Collection[int]) -> list[int]:
        """Keep only those rows that are in `going`, or the first; return their places."""
        places = [place for place, row in enumerate(self.rows) if row in going] or [0]
        self.rows = [self.rows[place] for place in places]
        self._take(places)
        return places

    def advance(self, tokens_N: Tensor) -> None:
        """Append a token to every row and compute the logits of the next."""
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(self._mask), 1)], dim=1)
        output = self._model(
            input_ids=tokens_N[:, None],
            attention_mask=self._mask,
            position_ids=self._mask.sum(-1, keepdim=True) - 1,
            use_cache=True,
            **{self._argument: self._cache},
        )
        self.logits = output.logits[:, -1]

    def _take(self, places: Sequence[int]) -> None:
        index = torch.tensor(places, device=self._mask.device)
        self._cache.reorder_cache(cast(torch.LongTensor, index))
        self._mask, self.logits = self._mask[index], self.logits[index]


def _draw(
    logits: Tensor, temperature: float, places: Sequence[int], total: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return a token for each row of `logits` (rows, vocabulary), its log-probability, and the
    entropy of the distribution that it was drawn from.

    The rows are those at `places` of a batch of `total` rows. Draws are those of `multinomial` over
    the whole batch, which divides probabilities by exponential noise and takes the largest.
    """
    if temperature == 0:
        tokens = logits.argmax(-1)
        return tokens, torch.zeros(len(tokens)), torch.zeros(len(tokens))
    log_prob = torch.log_softmax(logits.float() / temperature, dim=-1)
    prob = log_prob.exp()
    entropy = -torch.where(prob > 0, prob * log_prob, 0.0).sum(-1)
    noise = prob.new_empty(total, prob.shape[-1]).exponential_()
    if len(places) < total:
        noise = noise[places]
    tokens = torch.div(prob, noise, out=noise).argmax(-1, keepdim=True)
    return tokens[:, 0], log_prob.gather(-1, tokens)[:, 0], entropy
