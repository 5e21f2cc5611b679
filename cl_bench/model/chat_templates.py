"""A tokenizer made fit for runs: a chat template that renders whole, the same on every day and as
the run asks, the end of a turn, and special tokens that the model knows.

What a run tells a template stands before it, as `{% set enable_thinking = False %}`: so whoever
renders with the tokenizer, TRL and benchmarks included, tells it the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from cl_bench.contract.errors import ModelError, UsageError, unknown
from cl_bench.contract.prompts import Message, chat
from cl_bench.contract.text import one_line
from cl_bench.contract.thoughts import opened_by, tags_among

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_SYSTEM, _USER, _REPLY = "cats purr", "dogs bark", "birds sing"
"""Texts that a template is tried with: any two that it does not contain itself."""
_FOLD = (
    "{%- if messages and messages[0]['role'] == 'system' -%}"
    "{%- set messages = [{'role': 'user', "
    "'content': messages[0]['content'] + '\\n\\n' + messages[1]['content']}] + messages[2:] -%}"
    "{%- endif %}\n"
)
"""Ends, as everything here that stands before a template, in a line break that Jinja cuts after a
tag: what follows is read as the beginning of a template is."""
_SWITCHES = ("enable_thinking", "thinking")
"""The variables by which templates turn thinking on and off."""
_GIVEN = {"messages", "tools", "documents", "add_generation_prompt", "continue_final_message"}
"""What every template is given by transformers, beside the special tokens."""

_TODAY = datetime(2025, 1, 1, tzinfo=UTC)
"""What a template is told that asks for the time, in every prompt of every run: else the same seed
would give other prompts tomorrow, and a run over midnight two kinds of them."""
_CLOCK = "strftime_now"
"""The function of transformers through which a template asks for it."""
_DIRECTIVES = ("%", *"aAbBcdfFHIjmMpSTuUVwWxXyYzZ", *(f"-{code}" for code in "dHIjmMSy"))
"""What may follow a percent sign in a format."""


@dataclass(frozen=True, slots=True)
class TemplateOptions:
    """What a run asks of its model's chat template."""

    thinking: str = "auto"
    """on, off, or auto: what the template does by itself."""
    variables: Mapping[str, str | int | float | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SettledTemplate:
    """What was made of a tokenizer's chat template."""

    date: str | None
    """The day that a template is told which asks for it."""
    variables: Mapping[str, str | int | float | bool]
    """What it is told beside that, by the names of its variables."""
    folded: bool
    """Whether it has no system role, so that the system prompt is put before the user's message."""
    told: str
    """What stands before the template to tell it both."""


def settle_template(
    tokenizer: PreTrainedTokenizerBase, options: TemplateOptions
) -> SettledTemplate:
    """Make chats with and without a system prompt render whole, as `options` ask.

    Where a template refuses a system message (Gemma's) or drops it, the message is put before the
    user's: both texts, separated by an empty line, become one message. Raises `ModelError` for a
    template that cannot be used, `UsageError` for options that it does not have.
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
    variables = _asked(tokenizer, options)
    dated = _CLOCK in template
    told = "".join(f"{{% set {name} = {value!r} %}}\n" for name, value in variables.items())
    told += _stopped_clock() if dated else ""
    tokenizer.chat_template = told + template
    problem = _problem(tokenizer, "")
    if problem is None and _problem(tokenizer, _SYSTEM):
        tokenizer.chat_template = _FOLD + told + template
        problem = _problem(tokenizer, _SYSTEM)
    if problem:
        raise _unusable(tokenizer, problem)
    return SettledTemplate(
        _TODAY.date().isoformat() if dated else None,
        variables,
        _FOLD in tokenizer.chat_template,
        told,
    )


def _unusable(tokenizer: PreTrainedTokenizerBase, problem: str) -> ModelError:
    return ModelError(
        f"The chat template of {tokenizer.name_or_path!r} cannot be used: {problem}. Mend "
        "`chat_template` in its tokenizer_config.json (or chat_template.jinja)."
    )


def _asked(
    tokenizer: PreTrainedTokenizerBase, options: TemplateOptions
) -> dict[str, str | int | float | bool]:
    """Return the variables that the template is to be told, in the order of their names."""
    asked, thinking = dict(options.variables), options.thinking
    if not asked and thinking == "auto":
        return {}
    known, of = _variables(tokenizer), f"the chat template of {tokenizer.name_or_path!r}"
    for name in asked:
        if not known:
            raise UsageError(f"{name} is in [chat_template], but {of} reads no variables.")
        if name not in known:
            raise unknown(f"variable in [chat_template] for {tokenizer.name_or_path}", name, known)
    switches = [name for name in _SWITCHES if name in known]
    if thinking != "auto" and not switches:
        has = f"it has {', '.join(sorted(known))}, for [chat_template]" if known else "it has none"
        raise UsageError(
            f"thinking is {thinking!r}, but {of} has no variable {' or '.join(_SWITCHES)}: {has}. "
            "Leave thinking at auto."
        )
    if thinking != "auto":
        for name in asked.keys() & {*switches}:
            raise UsageError(
                f"{name} is in [chat_template], and thinking is {thinking!r}: leave one out."
            )
        asked |= dict.fromkeys(switches, thinking == "on")
    return dict(sorted(asked.items()))


def _variables(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    """Return the variables that the template reads and that are its user's to set.

    One that it sets itself is its user's where it asks whether there is one, or has a default.
    """
    from jinja2 import TemplateError, meta, nodes

    # Private, but no other environment knows all the tags of chat templates ({% generation %}).
    from transformers.utils.chat_template_utils import _compile_jinja_template

    template = str(tokenizer.chat_template)
    try:
        environment = _compile_jinja_template(template).environment
        tree = environment.parse(template)
    except TemplateError as error:
        raise _unusable(tokenizer, one_line(f"{type(error).__name__}: {error}", 200)) from error
    read = meta.find_undeclared_variables(tree)
    own = {name.name for name in tree.find_all(nodes.Name) if name.ctx == "store"}
    for kind, names in ((nodes.Test, ("defined", "undefined")), (nodes.Filter, ("default", "d"))):
        for found in tree.find_all(kind):
            if found.name in names and isinstance(found.node, nodes.Name):
                own.discard(found.node.name)
    return read - own - {*environment.globals, *_GIVEN, *tokenizer.special_tokens_map}


@cache
def _stopped_clock() -> str:
    """Return a macro that stands in a template's way to transformers' function of that name."""
    told = "".join(
        f" | replace({f'%{code}'!r}, {_TODAY.strftime(f'%{code}')!r})"
        for code in reversed(_DIRECTIVES)
    )
    return f"{{% macro {_CLOCK}(format) %}}{{{{ format{told} }}}}{{% endmacro %}}\n"


@contextmanager
def own_template(tokenizer: PreTrainedTokenizerBase, settled_by: SettledTemplate) -> Iterator[None]:
    """Within this context, in which a tokenizer is saved, its template is told nothing."""
    settled = tokenizer.chat_template
    tokenizer.chat_template = str(settled).replace(settled_by.told, "")
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


def thought_tags(tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Return the special tokens that are tags of thoughts, which belong to a response's text."""
    added = tokenizer.added_tokens_decoder.items()
    special = {str(token): number for number, token in added if token.special}
    return {special[tag] for tag in tags_among(special)}


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
