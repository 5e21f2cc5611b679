"""A causal LM with its tokenizer, its sampler and its base, which is its frozen start.

The base is a copy, or with an adapter the model itself with the adapter switched off.

Everything but training goes through here: responses, which the sampler draws, and exact divergences
from the base, which never changes and never gets a gradient.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from transformers.core_model_loading import revert_weight_conversion

from cl_bench.contract.errors import UsageError
from cl_bench.contract.prompts import Message
from cl_bench.contract.task import Verdict, judged
from cl_bench.contract.text import well_formed
from cl_bench.contract.thoughts import closed, thought_length
from cl_bench.model import ranks
from cl_bench.model.adapters import (
    Lora,
    add_lora,
    changes_nothing,
    has_adapter,
    merged,
    switched_off,
)
from cl_bench.model.chat_templates import (
    TemplateOptions,
    opened_thought,
    own_template,
    settle_special_tokens,
    settle_template,
    thought_tags,
    tokens_known,
    turn_end,
)
from cl_bench.model.generation import generation_that_can_be_saved
from cl_bench.model.gradient_path import recompute_layers
from cl_bench.model.identity import ModelFiles
from cl_bench.model.loading import load, quiet
from cl_bench.model.memory import return_what_is_freed, scoring_rows
from cl_bench.model.output_head import reads_apart
from cl_bench.model.samplers.protocol import Sampler
from cl_bench.model.samplers.transformers import TransformersSampler
from cl_bench.model.scoring import Divergence, NextTokens, compared, next_tokens
from cl_bench.model.sharding import (
    idle_passes,
    is_shared,
    own_part,
    share_layers,
    wholes,
)
from cl_bench.model.trial import require_sampling, settle_reading

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Chat = Sequence[Message]
_BY_ITSELF = TemplateOptions()
_CONTEXT_NAMES = ("max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len")
_ROWS_SCORED = 32
"""Responses, of like length, that one pass over whole texts scores, where memory allows."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """A sampled response. Token ids are without padding; an end token is included if reached."""

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    text: str
    """The response without special tokens and surrounding space. It begins with the tag of a
    thought if its model thinks, whether the model or the template opened it."""
    truncated: bool
    log_probs: tuple[float, ...] = ()
    """One for each token of the response, from its sampler (see `Sampled`)."""
    entropy: float = nan
    """Summed over the response's tokens, in nats."""
    thought_tokens: int = 0
    """How many of the response's tokens are its thought, tags included."""

    @property
    def length(self) -> int:
        """Tokens of prompt and response."""
        return len(self.prompt_ids) + len(self.completion_ids)

    @property
    def cut_in_thought(self) -> bool:
        """Whether the response was cut off before its thought had ended."""
        return self.truncated and self.thought_tokens == len(self.completion_ids)

    def judged_by(self, judge: Callable[[str], Verdict]) -> Verdict:
        """Return the verdict of `judge` on the response (see `cl_bench.contract.task.judged`)."""
        return judged(judge, self.text, truncated=self.truncated)


def verdicts(
    rollouts: Sequence[Rollout], judges: Sequence[Callable[[str], Verdict]]
) -> list[Verdict]:
    """Return the verdict of each response's own judge."""
    pairs = list(zip(rollouts, judges, strict=True))
    return ranks.shared_out(
        lambda some: [rollout.judged_by(judge) for rollout, judge in some], pairs
    )


class Policy:
    """The model being trained, its tokenizer, its `sampler`, and its frozen start (`base`).

    With `frozen`, the model is its own base, which saves a copy; it must not be trained then.
    `files` are those it was loaded from; `template_options` what its chat template was asked for,
    and `settled_template` what came of it.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        precision: str = "float32",
        *,
        frozen: bool = False,
        files: ModelFiles | None = None,
        template: TemplateOptions = _BY_ITSELF,
    ) -> None:
        self.precision, self.files = precision, files
        self.template_options = template
        self.settled_template = settle_template(tokenizer, template)
        self._turn_end, self._thought = turn_end(tokenizer), opened_thought(tokenizer)
        settle_special_tokens(model, tokenizer, self._turn_end)
        self._tags = thought_tags(tokenizer)
        special = (n for n, token in tokenizer.added_tokens_decoder.items() if token.special)
        self._unsaid = {*tokenizer.all_special_ids, *special} - self._tags
        tokenizer.padding_side = "left"  # so that all responses begin in the same column
        logging.getLogger("transformers.integrations.hub_kernels").addFilter(_no_kernel_advice)
        return_what_is_freed(model)
        self.model = model
        self.tokenizer = tokenizer
        self.has_adapter = has_adapter(model)
        self._base = model
        if not self.has_adapter:
            # A copy, because training changes the model in place.
            self._base = (model if frozen else copy.deepcopy(model)).requires_grad_(False)
            self._base.train(False)
        self.sampler: Sampler = TransformersSampler(self)

    @classmethod
    def load(
        cls,
        name_or_path: str,
        device: str = "cpu",
        precision: str = "float32",
        *,
        frozen: bool = False,
        revision: str | None = None,
        lora: Lora | None = None,
        gradient_checkpointing: bool = False,
        template: TemplateOptions = _BY_ITSELF,
    ) -> Policy:
        """Load a Hugging Face folder, GGUF file or hub name onto `device`, never with remote code.

        `revision` is the commit of a hub model, by default its newest. With `lora`, a fresh adapter
        is what is trained; with `gradient_checkpointing`, layers are computed again in the backward
        pass; `template` is asked of the chat template. Raises `ModelError` if the model cannot be
        used: it is tried with a few tokens.
        """
        model, tokenizer, files = load(name_or_path, revision)
        if lora is not None:
            add_lora(model, lora)
        if precision == "pure-bf16":
            model.to(torch.bfloat16)  # type: ignore[arg-type]
        shared = ranks.shares_layers() and not frozen
        if not shared:
            model.to(torch.device(device))  # type: ignore[arg-type]
        policy = cls(model, tokenizer, precision, frozen=frozen, files=files, template=template)
        if gradient_checkpointing:
            recompute_layers(model)
        if shared:
            policy._share_layers(torch.device(device))
        require_sampling(policy)
        if not frozen:
            settle_reading(policy)
        return policy

    def _share_layers(self, device: torch.device) -> None:
        for model in dict.fromkeys((self.model, self._base)):
            share_layers(model, device.type)
            model.to(device)  # type: ignore[arg-type]
            reads_apart(model)  # now, while all ranks are at it

    @contextmanager
    def base(self) -> Iterator[PreTrainedModel]:
        """Give the frozen start as a model, within `with` only.

        With an adapter it is `model` itself, the adapter switched off: do not use `model` inside,
        and do not keep the base for later.
        """
        with switched_off(self.model) if self.has_adapter else nullcontext():
            yield self._base

    def merged_weights(self) -> Iterator[tuple[str, Tensor]]:
        """Yield the model's weights under their names in a checkpoint, for engines beside it.

        They are the model's own tensors, or with an adapter those it is added into, or parts of
        them (experts that are one tensor here): not to be changed, and to be read before the next
        step.
        """
        model = self.plain_model()
        named = revert_weight_conversion(model, model.state_dict())
        for name, weight in named.items():
            yield name, weight.detach()

    def autocast(self) -> AbstractContextManager[None]:
        """Return a context in which matrices are multiplied in the run's precision.

        Passes that sample or train run in it; divergences are always measured in that of the
        parameters.
        """
        if self.precision != "bf16":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def save_model(self, folder: Path) -> None:
        """Write model, tokenizer and chat template into `folder`, for `load` to read.

        An adapter is added into the model that is written. All ranks have to call this.
        """
        model = self.plain_model()
        state = wholes(model.state_dict(), kept=ranks.writes())
        if not ranks.writes():
            return
        with quiet(), own_template(self.tokenizer, self.settled_template):
            with generation_that_can_be_saved(model):
                model.save_pretrained(folder, state_dict=state)
            self.tokenizer.save_pretrained(folder)

    def plain_model(self) -> PreTrainedModel:
        """Return the model, or one with its adapter added in, which is not for running."""
        return merged(self.model) if self.has_adapter else self.model

    @property
    def context(self) -> int | None:
        """The longest prompt and response together, in tokens; None if the model does not say."""
        config = self.model.config.get_text_config()
        lengths = (getattr(config, name, None) for name in _CONTEXT_NAMES)
        return next((n for n in lengths if isinstance(n, int) and n > 0), None)

    def require_room(self, chats: Sequence[Chat], max_new_tokens: int) -> None:
        """Raise `UsageError` if the longest of `chats` and a response exceed the context."""
        self.require_fit(self.encode(chats), max_new_tokens)

    def fits(self, chat: Chat, max_new_tokens: int, share: float = 1.0) -> bool:
        """Tell whether `chat` and a response of that length stay within a share of the context."""
        needed = len(self.encode([chat])[0]) + max_new_tokens
        return self.context is None or needed <= share * self.context

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def pad_id(self) -> int:
        """The token that fills rows of unequal length."""
        return int(self.tokenizer.pad_token_id)

    @property
    def end_ids(self) -> set[int]:
        """The tokens that end a response: those that the model declares, and the template's.

        Many a model declares the end of a text and ends its turns with another token.
        """
        ends = self.model.generation_config.eos_token_id
        listed = ends if isinstance(ends, list) else [ends]
        every = (*listed, self.tokenizer.eos_token_id, self._turn_end)
        return {end for end in every if end is not None}

    @property
    def stop_tokens(self) -> dict[str, int]:
        """`end_ids` by their texts, for manifests and messages."""
        ends = sorted(self.end_ids)
        return dict(zip(self.tokenizer.convert_ids_to_tokens(ends), ends, strict=True))

    def generate(
        self,
        chats: Sequence[Chat],
        *,
        max_new_tokens: int,
        temperature: float = 1.0,
        from_base: bool = False,
    ) -> list[Rollout]:
        """Return one sampled response to each chat, from torch's global generator.

        Temperature 0 is greedy. Raises `UsageError` if a prompt and `max_new_tokens` exceed the
        context, `DivergedError` if a distribution is not finite.
        """
        return self.continue_tokens(
            self.encode(chats),
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            from_base=from_base,
        )

    def continue_tokens(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        max_new_tokens: int,
        temperature: float = 1.0,
        from_base: bool = False,
    ) -> list[Rollout]:
        """Do as `generate`, for prompts given as token ids."""
        self.require_fit(prompts, max_new_tokens)
        sampled = self.sampler.sample(
            prompts, max_new_tokens=max_new_tokens, temperature=temperature, from_base=from_base
        )
        # Without the end token, which not every tokenizer counts among the special ones.
        said = [done.tokens[:-1] if done.ended else done.tokens for done in sampled]
        texts = self._texts(said)
        return [
            Rollout(
                tuple(prompt),
                tuple(done.tokens),
                text,
                not done.ended,
                tuple(done.log_probs),
                done.entropy,
                thought_length(done.tokens, lambda tokens: self._texts([tokens])[0]),
            )
            for prompt, done, text in zip(prompts, sampled, texts, strict=True)
        ]

    def _texts(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """Return responses as texts, without special tokens that are no tags of thoughts."""
        left_out = self._unsaid if self._tags else ()
        said = [[token for token in row if token not in left_out] for row in rows]
        texts = self.tokenizer.batch_decode(said, skip_special_tokens=not self._tags)
        return [f"{self._thought}{text}".strip() for text in texts]

    def encode(self, chats: Sequence[Chat]) -> list[list[int]]:
        """Return the token ids of the chats, up to where the assistant begins."""
        return self.tokens([self.template(chat) for chat in chats])

    def template(self, chat: Chat, *, begun: bool = False) -> str:
        """Return a chat as text, up to where the assistant begins; with `begun`, up to the end of
        its last message, which is the assistant's beginning."""
        text = self.tokenizer.apply_chat_template(
            list(chat),
            tokenize=False,
            add_generation_prompt=not begun,
            continue_final_message=begun,
        )
        return str(text)

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of texts, which hold all special tokens that they need."""
        # Fast tokenizers refuse lone surrogates.
        whole = [well_formed(text) for text in texts]
        ids: list[list[int]] = self.tokenizer(whole, add_special_tokens=False)["input_ids"]
        return ids

    def response_tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of responses as the policy would have sampled them, end included.

        They follow what `encode` returns: where the template opens a thought, they close it first.
        """
        end = self.tokenizer.eos_token_id if self._turn_end is None else self._turn_end
        opened = closed(self._thought)
        return [[*ids, int(end)] for ids in self.tokens([f"{opened}{text}" for text in texts])]

    def fingerprint(self) -> float:
        """Return a number that differs if a parameter does: two runs' are equal if theirs are."""
        with torch.no_grad():
            weights = list(self.model.parameters())
            sums = [(is_shared(it), float(own_part(it).sum(dtype=torch.float64))) for it in weights]
        kept = sum(total for shared, total in sums if not shared)
        return ranks.summed(sum(total for shared, total in sums if shared)) + kept

    def is_base(self) -> bool:
        """Tell whether all parameters equal those of the base; every divergence is then 0."""
        if self.has_adapter:
            same = changes_nothing(self.model)
        else:
            pairs = zip(self.model.parameters(), self._base.parameters(), strict=True)
            same = all(torch.equal(own_part(mine), own_part(frozen)) for mine, frozen in pairs)
        return all(ranks.gathered(same))

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
        """Return D_KL(p ‖ q) along `rollouts`, at every sampled position and over all tokens.

        p is the model that sampled the rollouts: the policy, or the base with `from_base`; q is the
        other of the two. Both read the rollout's own prompt. `same` says that the two are equal
        (see `is_base`), which saves a pass. `start` has a chat for each rollout, under which the
        base gives `deployed_N`; without it, that is the divergence under the rollout's own prompt.
        """
        longest = max(len(rollout.completion_ids) for rollout in rollouts)
        rows = scoring_rows(self.model, longest, _ROWS_SCORED)
        # Rollouts of like length share a pass, so that little of it is padding.
        order = sorted(range(len(rollouts)), key=lambda i: rollouts[i].length)
        asked = None if start is None else self.encode(start)

        def measured(part: Sequence[int]) -> Divergence:
            own = [(rollouts[i].prompt_ids, rollouts[i].completion_ids) for i in part]
            p = self._next_tokens(own, temperature, of_base=from_base)
            others = [] if same else [self._next_tokens(own, temperature, of_base=not from_base)]
            if asked is not None:
                at_start = [(asked[i], rollouts[i].completion_ids) for i in part]
                others.append(self._next_tokens(at_start, temperature, of_base=True))
            entropy, found = compared(p, *others)
            kl = torch.zeros(len(part)) if same else found[0]
            deployed = kl if asked is None else found[-1]
            return Divergence(kl, entropy, p.sampled.sum(-1).cpu(), deployed)

        mine = order[ranks.rank() :: ranks.count()]
        own = [measured(mine[first : first + rows]) for first in range(0, len(mine), rows)]
        for _ in range(idle_passes(self.model, len(own))):
            measured(order[:1])
        parts = [part for found in ranks.gathered(own) for part in found]
        back = torch.tensor(
            [i for rank in range(ranks.count()) for i in order[rank :: ranks.count()]]
        ).argsort()
        return Divergence(
            *(
                torch.cat([getattr(part, name) for part in parts])[back]
                for name in Divergence.__slots__
            )
        )

    def _next_tokens(
        self,
        rows: Sequence[tuple[Sequence[int], Sequence[int]]],
        temperature: float,
        *,
        of_base: bool,
    ) -> NextTokens:
        """Return `next_tokens` of the policy or of its base, whose heads no adapter touches."""
        with self.base() if of_base else nullcontext(self.model) as model:
            return next_tokens(model, rows, self.pad_id, temperature)

    def require_solution_fits(self, prompt: Sequence[int], solution: Sequence[int]) -> None:
        """Raise `UsageError` if a prompt and the solution to learn exceed the context together."""
        self.require_fit([prompt], 0)
        if self.context is not None and len(prompt) + len(solution) > self.context:
            raise UsageError(
                f"A problem of {len(prompt)} tokens has a solution of {len(solution)}, and both do "
                f"not fit into the model's context of {self.context} tokens. Leave that problem "
                "out of the data, shorten its solution, or take a model with a longer context."
            )

    def require_fit(self, prompts: Sequence[Sequence[int]], max_new_tokens: int) -> None:
        """Raise `UsageError` if the longest prompt and a response exceed the context, or if a
        prompt has a token that the model does not know."""
        longest = max(map(len, prompts), default=0)
        if self.context is not None and longest + max_new_tokens > self.context:
            raise UsageError(
                f"A prompt of {longest} tokens and max_new_tokens={max_new_tokens} do not fit into "
                f"the model's context of {self.context} tokens: lower max_new_tokens, shorten the "
                "prompt, or take a model with a longer context."
            )
        known = tokens_known(self.model)
        highest = max((max(row) for row in prompts if row), default=0)
        if highest >= known:
            token = self.tokenizer.convert_ids_to_tokens(highest)
            raise UsageError(
                f"A prompt holds the token {token!r}, number {highest} of the tokenizer, but the "
                f"model knows {known} tokens. Leave that text out, or give a model whose embedding "
                "was resized to its tokenizer."
            )


def _no_kernel_advice(record: logging.LogRecord) -> bool:
    """A filter for log records that drops transformers' advice to install faster kernels."""
    return "falling back to its reference" not in record.getMessage()
