"""A causal LM with its tokenizer and a frozen copy of where it started.

The only place that runs a torch model outside the optimiser: sampling, token log-probabilities
and exact divergences. `base` never changes and is never on a gradient's path.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from cl_bench.contract.errors import UsageError
from cl_bench.contract.prompts import Message
from cl_bench.contract.text import well_formed
from cl_bench.model.chat_templates import settle_template
from cl_bench.model.loading import load, quiet
from cl_bench.model.memory import return_what_is_freed, sampling_rows, scoring_rows
from cl_bench.model.sampling import Sampled, left_pad, sample

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Chat = Sequence[Message]
Item = TypeVar("Item")
_CONTEXT_NAMES = ("max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len")
_ROWS = 256
"""Responses sampled at once, where memory allows."""
_ROWS_SCORED = 32
"""Responses, of like length, that one pass over whole texts scores, where memory allows."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """A sampled response. Token ids are without padding; an end token is included if reached."""

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    text: str
    truncated: bool

    @property
    def length(self) -> int:
        """Tokens of prompt and response."""
        return len(self.prompt_ids) + len(self.completion_ids)


@dataclass(frozen=True, slots=True)
class Divergence:
    """Exact D_KL(p ‖ q) along sampled responses, in nats, and the entropy of p there.

    Sums over the response's tokens, one entry a response; `tokens` are their counts. `deployed` is
    the divergence from the base under the seed prompt, whatever prompt the response was made under.
    """

    kl_N: Tensor
    entropy_N: Tensor
    tokens_N: Tensor
    deployed_N: Tensor

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


class Policy:
    """The model being trained (`model`), its frozen start (`base`) and their tokenizer."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        precision: str = "float32",
    ) -> None:
        self.precision = precision
        settle_template(tokenizer)
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        tokenizer.padding_side = "left"
        logging.getLogger("transformers.integrations.hub_kernels").addFilter(_no_kernel_advice)
        return_what_is_freed(model)
        self.model = model
        self.tokenizer = tokenizer
        self.base = copy.deepcopy(model).requires_grad_(False)
        self.base.train(False)

    @classmethod
    def load(cls, name_or_path: str, device: str = "cpu", precision: str = "float32") -> Policy:
        """Load a Hugging Face folder or hub name (never with remote code), onto `device`."""
        model, tokenizer = load(name_or_path)
        return cls(model.to(torch.device(device)), tokenizer, precision)  # type: ignore[arg-type]

    def autocast(self) -> AbstractContextManager[None]:
        """Around passes that sample or train: matrices are multiplied in the run's precision."""
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def save_model(self, folder: Path) -> None:
        """Write model and tokenizer, its chat template too, into `folder` for `load` to read."""
        with quiet():
            self.model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)

    @property
    def context(self) -> int | None:
        """The longest prompt and response together, in tokens; None when the model names none."""
        config = self.model.config.get_text_config()
        lengths = (getattr(config, name, None) for name in _CONTEXT_NAMES)
        return next((n for n in lengths if isinstance(n, int) and n > 0), None)

    def require_room(self, chats: Sequence[Chat], max_new_tokens: int) -> None:
        """Raise `UsageError` if the longest of `chats` and a response exceed the context."""
        self._require_room(self.encode(chats), max_new_tokens)

    def fits(self, chat: Chat, max_new_tokens: int, share: float = 1.0) -> bool:
        """Whether `chat` and a response of that length stay within a share of the context."""
        needed = len(self.encode([chat])[0]) + max_new_tokens
        return self.context is None or needed <= share * self.context

    @property
    def device(self) -> torch.device:
        return self.model.device

    @torch.no_grad()
    def generate(
        self,
        chats: Sequence[Chat],
        *,
        max_new_tokens: int,
        temperature: float = 1.0,
        from_base: bool = False,
    ) -> list[Rollout]:
        """Sample one response to each chat from torch's global generator; 0 is greedy.

        Prompts that leave no room for `max_new_tokens` in the context are a `UsageError`.
        """
        prompts = self.encode(chats)
        sampled = self.continue_tokens(
            prompts, max_new_tokens=max_new_tokens, temperature=temperature, from_base=from_base
        )
        texts = self.tokenizer.batch_decode([s.tokens for s in sampled], skip_special_tokens=True)
        return [
            Rollout(tuple(prompt), tuple(done.tokens), text.strip(), not done.ended)
            for prompt, done, text in zip(prompts, sampled, texts, strict=True)
        ]

    def continue_tokens(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        max_new_tokens: int,
        temperature: float = 1.0,
        from_base: bool = False,
    ) -> list[Sampled]:
        """`generate` for prompts given as token ids."""
        self._require_room(prompts, max_new_tokens)
        model = self.base if from_base else self.model
        training = model.training
        model.train(False)
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        longest = max(map(len, prompts), default=0) + max_new_tokens
        found: dict[int, Sampled] = {}
        try:
            for chunk in _chunks(order, sampling_rows(model, longest, _ROWS)):
                with self.autocast():
                    sampled = sample(
                        model,
                        [prompts[i] for i in chunk],
                        pad=self._pad_id,
                        ends=_end_ids(model, self.tokenizer),
                        max_new_tokens=max_new_tokens,
                        temperature=temperature,
                    )
                found.update(zip(chunk, sampled, strict=True))
        finally:
            model.train(training)
        return [found[i] for i in range(len(prompts))]

    def encode(self, chats: Sequence[Chat]) -> list[list[int]]:
        """Token ids of the chats, up to where the assistant begins."""
        texts = [
            self.tokenizer.apply_chat_template(
                list(chat), tokenize=False, add_generation_prompt=True
            )
            for chat in chats
        ]
        whole = [well_formed(str(text)) for text in texts]
        ids: list[list[int]] = self.tokenizer(whole, add_special_tokens=False)["input_ids"]
        return ids

    def is_base(self) -> bool:
        """Whether the parameters are those of the base: every divergence is then exactly 0."""
        pairs = zip(self.model.parameters(), self.base.parameters(), strict=True)
        return all(torch.equal(mine, frozen) for mine, frozen in pairs)

    @torch.no_grad()
    def divergence(
        self,
        rollouts: Sequence[Rollout],
        *,
        from_base: bool = False,
        temperature: float = 1.0,
        same: bool = False,
        start: Sequence[Chat] | None = None,
    ) -> Divergence:
        """D_KL(sampler ‖ other) at every sampled position, over the full vocabulary.

        `rollouts` must have been sampled from the policy, or from the base with `from_base`; the
        other of the two is what the divergence is measured to. Both read the same prompt. `same`
        says that the two are equal (see `is_base`), which spares the other's pass. `start` are the
        chats, one a rollout, under which the base is asked for `deployed_N`; without them it is the
        divergence under the same prompt.
        """
        p, q = (self.base, self.model) if from_base else (self.model, self.base)
        longest = max(len(rollout.completion_ids) for rollout in rollouts)
        rows = scoring_rows(self.model, longest, _ROWS_SCORED)
        order = sorted(range(len(rollouts)), key=lambda i: rollouts[i].length)
        asked = None if start is None else self.encode(start)

        def measured(part: Sequence[int]) -> Divergence:
            own = [(rollouts[i].prompt_ids, rollouts[i].completion_ids) for i in part]
            log_p, sampled = _response_log_probs(p, own, self._pad_id, temperature)
            kl = torch.zeros(len(part))
            if not same:
                kl = _kl(log_p, _response_log_probs(q, own, self._pad_id, temperature)[0], sampled)
            deployed = kl
            if asked is not None:
                at_start = [(asked[i], rollouts[i].completion_ids) for i in part]
                log_b, _ = _response_log_probs(self.base, at_start, self._pad_id, temperature)
                deployed = _kl(log_p, log_b, sampled)
            return Divergence(kl, _entropy(log_p, sampled), sampled.sum(-1).cpu(), deployed)

        parts = [measured(part) for part in _chunks(order, rows)]
        back = torch.tensor(order).argsort()
        return Divergence(
            *(
                torch.cat([getattr(part, name) for part in parts])[back]
                for name in Divergence.__slots__
            )
        )

    @property
    def _pad_id(self) -> int:
        return int(self.tokenizer.pad_token_id)

    def _require_room(self, prompts: Sequence[Sequence[int]], max_new_tokens: int) -> None:
        longest = max(map(len, prompts), default=0)
        if self.context is not None and longest + max_new_tokens > self.context:
            raise UsageError(
                f"A prompt of {longest} tokens and max_new_tokens={max_new_tokens} do not fit into "
                f"the model's context of {self.context} tokens: lower max_new_tokens, shorten the "
                "prompt, or take a model with a longer context."
            )


def _no_kernel_advice(record: logging.LogRecord) -> bool:
    """A filter for log records: drops the advice to install faster kernels."""
    return "falling back to its reference" not in record.getMessage()


def _end_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    ends = model.generation_config.eos_token_id
    listed = ends if isinstance(ends, list) else [ends]
    return {end for end in (*listed, tokenizer.eos_token_id) if end is not None}


def _response_log_probs(
    model: PreTrainedModel,
    rows: Sequence[tuple[Sequence[int], Sequence[int]]],
    pad: int,
    temperature: float,
) -> tuple[Tensor, Tensor]:
    """Log-probabilities (rows, longest response, vocabulary) at the responses of (prompt, response)
    `rows`, whose ends are aligned, and where there is a token."""
    ids, mask = left_pad([(*prompt, *response) for prompt, response in rows], pad)
    ids, mask = ids.to(model.device), mask.to(model.device)
    keep = max(len(response) for _, response in rows)
    sampled = torch.zeros((len(rows), keep), dtype=torch.bool, device=model.device)
    for place, (_, response) in enumerate(rows):
        sampled[place, keep - len(response) :] = True
    return _next_log_probs(model, ids, mask, keep, temperature), sampled


def _kl(log_p: Tensor, log_q: Tensor, sampled: Tensor) -> Tensor:
    prob = log_p.exp()
    kl = torch.where(prob > 0, prob * (log_p - log_q), 0.0).sum(-1).clamp_min(0.0)
    return (kl * sampled).sum(-1).cpu()


def _entropy(log_p: Tensor, sampled: Tensor) -> Tensor:
    prob = log_p.exp()
    entropy = -torch.where(prob > 0, prob * log_p, 0.0).sum(-1)
    return (entropy * sampled).sum(-1).cpu()


def _next_log_probs(
    model: PreTrainedModel, ids: Tensor, mask: Tensor, keep: int, temperature: float
) -> Tensor:
    """Log-probabilities (rows, keep, vocabulary) of each of the last `keep` tokens' positions."""
    training = model.training
    model.train(False)
    positions = (mask.cumsum(-1) - 1).clamp_min(0)
    logits = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=positions,
        use_cache=False,
        logits_to_keep=keep + 1,
    ).logits[:, :-1]
    model.train(training)
    scale = temperature if temperature > 0 else 1.0
    return torch.log_softmax(logits.float() / scale, dim=-1)


def _chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
