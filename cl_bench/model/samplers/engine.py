"""A sampler on an engine beside the trained model, which keeps weights of its own.

Every row is a request of its own, with a seed from torch's global generator. Changed weights are
pushed before the next request. That the engine draws from them is proved, not believed: it starts
with weights that are nobody's, so that a push which does nothing is seen at the first one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from cl_bench.contract.errors import DivergedError, SamplerError
from cl_bench.contract.text import reason_of
from cl_bench.model import ranks
from cl_bench.model.random_states import random_states_kept
from cl_bench.model.samplers.protocol import Sampled, SamplingPolicy
from cl_bench.model.samplers.transformers import TransformersSampler, evaluating
from cl_bench.model.scoring import next_tokens, own_tokens

CLOSE = {"float32": 0.01, "bf16": 0.1, "pure-bf16": 0.1}
"""Nats by which engine and trainer may differ in the log-probability of a sampled token, on average
over the tokens of a proof."""
_PROOFS = 2
"""Pushes that are proved: the first, and the first of changed weights (of a step or a resume)."""
_ROWS, _TOKENS = 4, 64
"""Responses, and tokens of each, that a proof compares."""
_SEEDS = 2**62
_REASON = 300


@dataclass(frozen=True, slots=True)
class Request:
    """One row that an engine is to continue."""

    prompt: tuple[int, ...]
    seed: int
    """Of its own draws; without a part in greedy decoding."""
    max_new_tokens: int
    temperature: float
    ends: frozenset[int]
    """The tokens that end the response, and belong to it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The tokens of one response, and their log-probabilities at the request's temperature."""

    tokens: list[int]
    log_probs: list[float]


class Engine(Protocol):
    """What an `EngineSampler` asks of an engine. An exception from it counts as its failure."""

    name: str
    """With version and mode, for the manifest."""
    shared: bool
    """Whether the ranks of a run ask one and the same engine."""

    def load(self, weights: Iterator[tuple[str, Tensor]]) -> None:
        """Take over all weights, and forget whatever was computed with others."""
        ...

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """Return a reply to each request, in their order; nothing truncates a distribution."""
        ...

    def wake(self) -> None:
        """Take the memory to sample in."""
        ...

    def sleep(self) -> None:
        """Give that memory to the trainer; the weights are kept."""
        ...


class EngineSampler:
    """Samples with an engine that holds the policy's weights; the base answers by itself.

    Requests to the base are few (reflection, and one response a problem for divergences): pushing
    its weights and the policy's back would cost more than the model's own sampling.
    """

    own_model = False

    def __init__(self, policy: SamplingPolicy, engine: Engine) -> None:
        self.engine = engine.name
        self._policy, self._engine = policy, engine
        self._base = TransformersSampler(policy)
        self._stale, self._proofs, self._due = True, _PROOFS, False

    def sample(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        max_new_tokens: int,
        temperature: float,
        from_base: bool = False,
    ) -> list[Sampled]:
        """Return what `Sampler.sample` promises; entropies are estimates (see `Sampled`)."""
        if from_base:
            return self._base.sample(
                prompts, max_new_tokens=max_new_tokens, temperature=temperature, from_base=True
            )
        ends = frozenset(self._policy.end_ids)
        requests = [
            Request(tuple(prompt), seed, max_new_tokens, temperature, ends)
            for prompt, seed in zip(prompts, _seeds(len(prompts), temperature), strict=True)
        ]
        own = [requests[row] for row in ranks.part(len(requests))]
        answered = self._replies(own) if requests else []
        replies = [reply for part in ranks.gathered(answered) for reply in part]
        if not all(math.isfinite(log_prob) for reply in replies for log_prob in reply.log_probs):
            raise DivergedError("the policy's distribution over the next token is not finite")
        if self._due and temperature > 0 and answered:  # each rank proves its own engine
            self._prove(own[:_ROWS], answered[:_ROWS])
        return [_sampled(*pair) for pair in zip(requests, replies, strict=True)]

    def weights_changed(self) -> None:
        """Push the weights before the next request."""
        self._stale = True

    def _replies(self, requests: Sequence[Request]) -> list[Reply]:
        # An engine in this process may draw from the global generators, or seed them.
        with random_states_kept(self._policy.model.device):
            with self._failing("waking"):
                self._engine.wake()
            if self._stale:
                with self._failing("taking over the policy's weights"):
                    self._load()
                self._stale, self._due = False, self._proofs > 0
            with self._failing(f"answering {len(requests)} requests"):
                replies = self._engine.answer(requests) if requests else []
                self._engine.sleep()
        return replies

    def _load(self) -> None:
        if ranks.writes() or not self._engine.shared:
            self._engine.load(self._policy.merged_weights())
        if self._engine.shared:
            ranks.gathered(None)  # nobody asks before it is done

    @contextmanager
    def _failing(self, doing: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if ranks.tells_of_a_loss(error):
                raise
            reason = reason_of(error, _REASON)
            raise SamplerError(
                f"The engine {self.engine} failed while {doing} ({reason}). Mend what it says, "
                "then go on from the last checkpoint with `cl-bench run --resume`, or start a run "
                "with --sampler transformers."
            ) from error

    @torch.no_grad()
    def _prove(self, requests: Sequence[Request], replies: Sequence[Reply]) -> None:
        """Raise `SamplerError` unless the trained model gives the replies' log-probabilities."""
        policy, temperature = self._policy, requests[0].temperature
        given: list[float] = []
        own: list[float] = []
        for request, reply in zip(requests, replies, strict=True):
            tokens = reply.tokens[:_TOKENS]
            with evaluating(policy.model), policy.autocast():
                row = [(request.prompt, tokens)]
                read = next_tokens(policy.model, row, policy.pad_id, temperature)
                log_prob, _ = own_tokens(read)
            own += log_prob[0].tolist()
            given += reply.log_probs[:_TOKENS]
        apart = _mean([abs(one - other) for one, other in zip(given, own, strict=True)])
        if not apart <= CLOSE[policy.precision]:
            raise SamplerError(
                f"The engine {self.engine} does not draw from the weights that are trained: its "
                f"tokens have the mean log-probability {_mean(given):.4f} by the engine and "
                f"{_mean(own):.4f} by the trainer, {apart:.2g} nats a token apart where "
                f"{CLOSE[policy.precision]} are allowed. Take another version of the engine, or "
                "--sampler transformers."
            )
        self._due, self._proofs = False, self._proofs - 1


def _seeds(count: int, temperature: float) -> list[int]:
    if temperature == 0:  # no draws, as with the model's own sampling
        return [0] * count
    seeds: list[int] = torch.randint(_SEEDS, (count,)).tolist()
    return seeds


def _sampled(request: Request, reply: Reply) -> Sampled:
    log_probs = reply.log_probs if request.temperature > 0 else [0.0] * len(reply.tokens)
    return Sampled(reply.tokens, log_probs, -sum(log_probs), reply.tokens[-1] in request.ends)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
