"""Chat templates: rendering both the system prompt and the user's text, and the end of a turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cl_bench.contract.errors import ModelError
from cl_bench.contract.prompts import Message, chat
from cl_bench.contract.text import one_line
from cl_bench.contract.thoughts import opened_by

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_SYSTEM, _USER, _REPLY = "cats purr", "dogs bark", "birds sing"
"""Texts that a template is tried with: any two that it does not contain itself."""
_FOLD = (
    "{%- if messages and messages[0]['role'] == 'system' -%}"
    "{%- set messages = [{'role': 'user', "
    "'content': messages[0]['content'] + '\\n\\n' + messages[1]['content']}] + messages[2:] -%}"
    "{%- endif -%}"
)


def settle_template(tokenizer: PreTrainedTokenizerBase) -> None:
    """Make chats with and without a system prompt render whole; raise `ModelError` if they cannot.

    Where a template refuses a system message (Gemma's) or drops it, the message is put before the
    user's: both texts, separated by an empty line, become one message.
    """
    template = tokenizer.chat_template
    if isinstance(template, dict):
        template = template.get("default")
    if not template:
        raise ModelError(
            f"The tokenizer of {tokenizer.name_or_path!r} has no chat template. Use an "
            "instruction-tuned model, or set `chat_template` in its tokenizer_config.json."
        )
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
