"""A tokenizer made fit for runs: a chat template that renders whole and the same on every day, the
end of a turn, and special tokens that the model knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from cl_bench.contract.errors import ModelError
from cl_bench.contract.prompts import Message, chat
from cl_bench.contract.text import one_line
from cl_bench.contract.thoughts import opened_by

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_SYSTEM, _USER, _REPLY = "cats purr", "dogs bark", "birds sing"
"""Texts that a template is tried with: any two that it does not contain itself."""
_FOLD = (
    "{%- if messages and messages[0]['role'] == 'system' -%}"
    "{%- set messages = [{'role': 'user', "
    "'content': messages[0]['content'] + '\\n\\n' + messages[1]['content']}] + messages[2:] -%}"
    "{%- endif -%}"
)


_TODAY = datetime(2025, 1, 1, tzinfo=UTC)
"""What a template is told that asks for the time, in every prompt of every run: else the same seed
would give other prompts tomorrow, and a run over midnight two kinds of them."""
_CLOCK = "strftime_now"
"""The function of transformers through which a template asks for it."""
_DIRECTIVES = ("%", *"aAbBcdfFHIjmMpSTuUVwWxXyYzZ", *(f"-{code}" for code in "dHIjmMSy"))
"""What may follow a percent sign in a format."""


def settle_template(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """Make chats with and without a system prompt render whole; raise `ModelError` if they cannot.

    Where a template refuses a system message (Gemma's) or drops it, the message is put before the
    user's: both texts, separated by an empty line, become one message. Returns the day that a
    template is told which asks for the date; None for one that does not.
    """
    template = tokenizer.chat_template
    if isinstance(template, dict):
        template = template.get("default")
    if not template:
        raise ModelError(
            f"The tokenizer of {tokenizer.name_or_path!r} has no chat template. Use an "
            "instruction-tuned model, or set `chat_template` in its tokenizer_config.json."
        )
    dated = _CLOCK in template
    if dated:  # in the template itself, so that TRL, which renders too, is told the same
        template = _stopped_clock() + template
    tokenizer.chat_template = template
    problem = _problem(tokenizer, "")
    if problem is None and _problem(tokenizer, _SYSTEM):
        tokenizer.chat_template = _FOLD + template
        problem = _problem(tokenizer, _SYSTEM)
    if problem:
        raise ModelError(
            f"The chat template of {tokenizer.name_or_path!r} cannot be used: {problem}. Mend "
            "`chat_template` in its tokenizer_config.json (or chat_template.jinja)."
        )
    return _TODAY.date().isoformat() if dated else None


@cache
def _stopped_clock() -> str:
    """Return a macro that stands in a template's way to transformers' function of that name."""
    told = "".join(
        f" | replace({f'%{code}'!r}, {_TODAY.strftime(f'%{code}')!r})"
        for code in reversed(_DIRECTIVES)
    )
    # The last expression keeps Jinja from cutting a line break with which a template begins.
    return f"{{% macro {_CLOCK}(format) %}}{{{{ format{told} }}}}{{% endmacro %}}{{{{ '' }}}}"


@contextmanager
def own_template(tokenizer: PreTrainedTokenizerBase) -> Iterator[None]:
    """Within this context, in which a tokenizer is saved, its template asks for the date itself."""
    settled = tokenizer.chat_template
    tokenizer.chat_template = str(settled).replace(_stopped_clock(), "")
    try:
        yield
    finally:
        tokenizer.chat_template = settled


def tokens_known(model: PreTrainedModel) -> int:
    """Return how many tokens a model has an embedding of."""
    embedding: Any = model.get_input_embeddings()
    return int(embedding.weight.shape[0])


def settle_special_tokens(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, turn_end: int | None
) -> None:
    """Give a tokenizer without an end token the model's or the template's, and one without padding
    an end token.

    Padding that lies beyond the model's embedding is none. Raises `ModelError` if none of the three
    names an end token.
    """
    known = tokens_known(model)
    ends = model.generation_config.eos_token_id
    for end in [*(ends if isinstance(ends, list) else [ends]), turn_end]:
        if tokenizer.eos_token_id is None and end is not None:
            tokenizer.eos_token = tokenizer.convert_ids_to_tokens(end)
    if tokenizer.eos_token_id is None:
        raise ModelError(
            f"The tokenizer of {tokenizer.name_or_path!r} has no end token, nor have its "
            "generation_config.json and its chat template, so no response would end. Set "
            "`eos_token` in its tokenizer_config.json."
        )
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id >= known:
        tokenizer.pad_token = tokenizer.eos_token


def _problem(tokenizer: PreTrainedTokenizerBase, system: str) -> str | None:
    """Return what goes wrong when a message is rendered under `system`, or None."""
    try:
        text = tokenizer.apply_chat_template(
            chat(system, _USER), tokenize=False, add_generation_prompt=True
        )
    except Exception as error:  # noqa: BLE001 - a template is a program of anybody's
        return one_line(f"{type(error).__name__}: {error}", 200)
    if not isinstance(text, str) or _USER not in text:
        return "it leaves out the user's message"
    return None if system in text else "it leaves out the system message"


def turn_end(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """Return the token with which the template ends an assistant's turn, or None.

    It is the special or added token that follows the assistant's text, whatever the tokenizer
    declares as its end of sequence. A template that ends turns by plain text has none.
    """
    asked = [*chat("", _USER), {"role": "assistant", "content": _REPLY}]
    special = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
    # Some templates end a turn only where another one follows.
    for messages in (asked, [*asked, *chat("", _USER)]):
        _, _, rest = _rendered(tokenizer, messages).partition(_REPLY)
        ids: list[int] = tokenizer(rest.lstrip(), add_special_tokens=False)["input_ids"]
        if ids and ids[0] in special:
            return ids[0]
    return None


def opened_thought(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return the tag by which the template has a response begin inside a thought, or nothing."""
    return opened_by(_rendered(tokenizer, chat("", _USER), ask=True))


def _rendered(
    tokenizer: PreTrainedTokenizerBase, messages: list[Message], *, ask: bool = False
) -> str:
    """Return the template's text; nothing if it refuses, as some do for an assistant's turn."""
    try:
        return str(
            tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=ask)
        )
    except Exception:  # noqa: BLE001 - a template is a program of anybody's
        return ""
