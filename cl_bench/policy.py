"""A causal LM with its tokenizer and a frozen copy of where it started.

The only place that runs a torch model outside the optimiser: sampling, token log-probabilities
and exact divergences. `base` never changes and is never on a gradient's path.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from cl_bench.errors import UsageError
from cl_bench.loading import load, quiet
from cl_bench.prompts import Message
from cl_bench.sampling import Sampled, left_pad, sample
from cl_bench.templates import settle_template
from cl_bench.text import well_formed

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Chat = Sequence[Message]
Item = TypeVar("Item")
_CONTEXT_NAMES = ("max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len")
_ROWS = 256
"""Responses sampled at once."""
_ROWS_SCORED = 32
"""Responses, of like length, that one pass over whole texts scores."""
_LOGITS = 2**26
"""Numbers in one pass's logits (256 MB); a pass has as many rows as fit."""


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

    Sums over the response's tokens, one entry a response; `tokens` are their counts.
    """

    kl_N: Tensor
    entropy_N: Tensor
    tokens_N: Tensor

    @property
    def per_token(self) -> float:
        """Mean divergence of a token, over all tokens."""
        return float(self.kl_N.sum() / self.tokens_N.sum())

    @property
    def per_sequence(self) -> float:
        """Mean over responses of the divergence summed over their tokens."""
        return float(self.kl_N.mean())

    @property
    def entropy(self) -> float:
        """Mean entropy of a token, over all tokens."""
        return float(self.entropy_N.sum() / self.tokens_N.sum())


class Policy:
    """The model being trained (`model`), its frozen start (`base`) and their tokenizer."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        settle_template(tokenizer)
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        tokenizer.padding_side = "left"
        logging.getLogger("transformers.integrations.hub_kernels").addFilter(_no_kernel_advice)
        self.model = model
        self.tokenizer = tokenizer
        self.base = copy.deepcopy(model).requires_grad_(False)
        self.base.train(False)

    @classmethod
    def load(cls, name_or_path: str, device: str = "cpu") -> Policy:
        """Load a Hugging Face folder or hub name (never with remote code), onto `device`."""
        model, tokenizer = load(name_or_path)
        return cls(model.to(torch.device(device)), tokenizer)  # type: ignore[arg-type]

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
        found: dict[int, Sampled] = {}
        try:
            for chunk in _chunks(order, _ROWS):
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

    @torch.no_grad()
    def divergence(
        self, rollouts: Sequence[Rollout], *, from_base: bool = False, temperature: float = 1.0
    ) -> Divergence:
        """D_KL(sampler ‖ other) at every sampled position, over the full vocabulary.

        `rollouts` must have been sampled from the policy, or from the base with `from_base`; the
        other of the two is what the divergence is measured to. Both read the same prompt.
        """
        p, q = (self.base, self.model) if from_base else (self.model, self.base)
        longest = max(len(rollout.completion_ids) for rollout in rollouts)
        rows = max(1, min(_ROWS_SCORED, _LOGITS // (longest * self.model.config.vocab_size)))
        order = sorted(range(len(rollouts)), key=lambda i: rollouts[i].length)
        parts = [
            _divergence(p, q, [rollouts[i] for i in part], self._pad_id, temperature)
            for part in _chunks(order, rows)
        ]
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


def _divergence(
    p: PreTrainedModel,
    q: PreTrainedModel,
    rollouts: Sequence[Rollout],
    pad: int,
    temperature: float,
) -> Divergence:
    ids, mask = left_pad([(*r.prompt_ids, *r.completion_ids) for r in rollouts], pad)
    ids, mask = ids.to(p.device), mask.to(p.device)
    keep = max(len(r.completion_ids) for r in rollouts)
    sampled = torch.zeros((len(rollouts), keep), dtype=torch.bool, device=p.device)
    for place, rollout in enumerate(rollouts):
        sampled[place, keep - len(rollout.completion_ids) :] = True
    log_p, log_q = (_next_log_probs(m, ids, mask, keep, temperature) for m in (p, q))
    prob = log_p.exp()
    kl = torch.where(prob > 0, prob * (log_p - log_q), 0.0).sum(-1).clamp_min(0.0)
    entropy = -torch.where(prob > 0, prob * log_p, 0.0).sum(-1)
    return Divergence(
        (kl * sampled).sum(-1).cpu(), (entropy * sampled).sum(-1).cpu(), sampled.sum(-1).cpu()
    )


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
