"""The contract of a sampler: rows of tokens in, tokens with their log-probabilities out.

Samplers are the only place that generates. Trainer, distillation, rounds of the prompt optimiser,
reflection by the base and evaluator all use the one that is set as `Policy.sampler`, through
`Policy.generate` and `Policy.continue_tokens`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


TEMPORARY = "temporary"
"""Stands for this machine's folder of temporary files, as the way of weights to a server."""


@dataclass(slots=True)
class Sampled:
    """One response as it was drawn.

    Log-probabilities and entropy, in nats, are those of the distributions that the tokens were
    drawn from: greedy decoding has 0 for both.
    """

    tokens: list[int] = field(default_factory=list)
    """The response, with the end token if it was reached."""
    log_probs: list[float] = field(default_factory=list)
    """One for each token."""
    entropy: float = 0.0
    """Summed over the tokens. An engine tells no distributions: its entropy is that of the tokens
    drawn, the negative sum of `log_probs`, whose expectation is the entropy."""
    ended: bool = False
    """Whether an end token was reached."""


class SamplingPolicy(Protocol):
    """The part of a policy that a sampler reads."""

    @property
    def model(self) -> PreTrainedModel:
        """The model that is trained."""
        ...

    @property
    def pad_id(self) -> int:
        """The token that fills rows of unequal length."""
        ...

    @property
    def end_ids(self) -> Collection[int]:
        """The tokens that end a response."""
        ...

    def base(self) -> AbstractContextManager[PreTrainedModel]:
        """The frozen start as a model, within `with` alone (see `Policy.base`)."""
        ...

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context to sample in, which sets the run's precision."""
        ...

    @property
    def precision(self) -> str:
        """`float32` or `bf16`."""
        ...

    def merged_weights(self) -> Iterator[tuple[str, Tensor]]:
        """Yield the policy's weights under their names in a checkpoint, for other engines."""
        ...


class Sampler(Protocol):
    """Draws responses from a policy: from its current weights, or from its frozen base."""

    engine: str
    """Its name, with version and mode, in manifests: runs of different engines are not compared."""
    own_model: bool
    """Whether the model that is trained draws itself: its log-probabilities are the trainer's then,
    and no step has to correct for a difference."""

    def sample(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        max_new_tokens: int,
        temperature: float,
        from_base: bool = False,
    ) -> list[Sampled]:
        """Return one response to each of `prompts` (rows of token ids), in their order.

        Each row is a request of its own: the distribution of its response depends on its prompt
        alone, not on the other rows of the call. The distribution is not truncated (no top-k or
        top-p); temperature 0 is greedy. Draws, or the seeds of an engine's own draws, come from
        torch's global generator, so that the same state gives the same responses. The caller has
        checked that prompt and response fit into the context. Raises `DivergedError` if a
        distribution is not finite, and `SamplerError` if an engine fails or has other weights.
        """
        ...

    def weights_changed(self) -> None:
        """Take note that the policy's parameters have changed since the last request.

        `cl_bench.slow.optimizer` calls this after each step of an optimizer and each loading of
        weights. The base never changes.
        """
        ...
