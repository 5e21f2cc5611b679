"""Chat models in the forms of the field's families, made here: tiny, with random weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from tokenizers.processors import TemplateProcessing

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + "
    "message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA_3 = """\
{{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\n\n" }}
{{- "Today Date: " + date_string + "\n\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}
    {{- message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %}
"""
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant') }}{% endif %}"
    "{% if message['role'] == 'assistant' %}{% set role = 'model' %}"
    "{% else %}{% set role = message['role'] %}{% endif %}"
    "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
QWEN_3 = """\
{%- if messages[0].role == 'system' %}
    {{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == "user" %}
        {{- '<|im_start|>user\n' + message.content + '<|im_end|>\n' }}
    {%- elif message.role == "assistant" %}
        {%- set content = message.content.split('</think>')[-1].lstrip('\n') %}
        {{- '<|im_start|>assistant\n' + content + '<|im_end|>\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\n\n</think>\n\n' }}
    {%- endif %}
{%- endif %}
"""
OPENING = (
    "{% if not thinking is defined %}{% set thinking = false %}{% endif %}{{ bos_token }}"
    "{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}{% elif m.role == 'user' %}"
    "{{ '<|User|>' + m.content }}{% else %}{{ '<|Assistant|></think>' + m.content + eos_token }}"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|Assistant|>' }}"
    "{{ '<think>' if thinking else '</think>' }}{% endif %}"
)
MISTRAL = (
    "{%- if messages[0]['role'] == 'system' %}{%- set system = messages[0]['content'] %}"
    "{%- set turns = messages[1:] %}{%- else %}{%- set turns = messages %}{%- endif %}"
    "{{- bos_token }}{%- for message in turns %}{%- if message['role'] == 'user' %}"
    "{%- if loop.last and system is defined %}"
    "{{- '[INST]' + system + '\n\n' + message['content'] + '[/INST]' }}"
    "{%- else %}{{- '[INST]' + message['content'] + '[/INST]' }}{%- endif %}"
    "{%- else %}{{- message['content'] + eos_token }}{%- endif %}{%- endfor %}"
)
HARMONY = """\
{%- macro system_message() -%}
    {{- "Reasoning: " + (reasoning_effort if reasoning_effort is defined else "medium") }}
{%- endmacro -%}
{{- "<|start|>system<|message|>" }}{{ system_message() }}{{- "<|end|>" }}
{%- if messages[0].role == "system" %}
    {{- "<|start|>developer<|message|># Instructions\n\n" + messages[0].content + "<|end|>" }}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- for message in loop_messages %}
    {%- if message.role == "user" %}
        {{- "<|start|>user<|message|>" + message.content + "<|end|>" }}
    {%- elif loop.last %}
        {{- "<|start|>assistant<|channel|>final<|message|>" + message.content + "<|return|>" }}
    {%- else %}
        {{- "<|start|>assistant<|channel|>final<|message|>" + message.content + "<|end|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt -%}
<|start|>assistant
{%- endif -%}
"""


@dataclass(frozen=True)
class Family:
    """How the models of a family speak."""

    template: str
    special: tuple[str, ...]
    end: str
    """The token that ends a turn."""
    eos: str
    """The end that tokenizer and model declare."""
    bos: str = ""
    """If there is one, the tokenizer puts it before every text, unless it is told not to."""
    ends: tuple[str, ...] = ()
    """More of them, of the list in generation_config.json."""
    plain: tuple[str, ...] = ()
    """Added tokens that are not special."""
    folded: bool = False
    opened: Mapping[str, str] = field(default_factory=dict)
    """By `thinking`, the tag that a prompt ends with; empty for a template without that switch."""
    thought: str = ""
    """A whole thought as its model writes it, tags included; empty if it has none."""


FAMILIES: Mapping[str, Family] = {
    "chatml": Family(
        CHATML, ("<|endoftext|>", "<|im_start|>", "<|im_end|>"), "<|im_end|>", "<|endoftext|>"
    ),
    "llama 3": Family(
        LLAMA_3,
        ("<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>"),
        "<|eot_id|>",
        "<|end_of_text|>",
        "<|begin_of_text|>",
        ("<|eom_id|>",),
    ),
    "gemma": Family(
        GEMMA, ("<pad>", "<start_of_turn>"), "<end_of_turn>", "<eos>", "<bos>", folded=True
    ),
    "qwen 3": Family(
        QWEN_3,
        ("<|endoftext|>", "<|im_start|>"),
        "<|im_end|>",
        "<|im_end|>",
        ends=("<|endoftext|>",),
        plain=("<think>", "</think>"),
        opened={"auto": "", "on": "", "off": ""},
        thought="<think>\nwhat now?\n</think>",
    ),
    "opening": Family(
        OPENING,
        ("<|User|>", "<|Assistant|>"),
        "<|end|>",
        "<|end|>",
        "<|begin|>",
        plain=("<think>", "</think>"),
        opened={"auto": "", "on": "<think>", "off": ""},
        thought="what now?</think>",
    ),
    "mistral": Family(
        MISTRAL,
        ("[INST]", "[/INST]", "[THINK]", "[/THINK]"),
        "</s>",
        "</s>",
        "<s>",
        thought="[THINK]what now?[/THINK]",
    ),
    "harmony": Family(
        HARMONY,
        ("<|start|>", "<|message|>", "<|channel|>", "<|end|>", "<|call|>", "<|endoftext|>"),
        "<|return|>",
        "<|return|>",
        ends=("<|call|>", "<|endoftext|>"),
        thought="<|channel|>analysis<|message|>what now?<|end|>"
        "<|start|>assistant<|channel|>final<|message|>",
    ),
}


def write_model(folder: Path, family: Family) -> Path:
    """Write a model of that family, of two layers and a byte-level tokenizer."""
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    special = [*dict.fromkeys([family.bos, family.eos, family.end, *family.special])]
    tokenizer = _tokenizer(family, [token for token in special if token])
    names: dict[str, Any] = {"eos_token": family.eos}
    if family.bos:
        names["bos_token"] = family.bos
    made: Any = PreTrainedTokenizerFast
    fast = made(tokenizer_object=tokenizer, **names)
    fast.chat_template = family.template
    fast.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=1024,
        eos_token_id=fast.eos_token_id,
        bos_token_id=fast.bos_token_id,
    )
    model = LlamaForCausalLM(config)
    if family.ends:
        listed = [family.eos, *family.ends]
        model.generation_config.eos_token_id = fast.convert_tokens_to_ids(listed)
    model.save_pretrained(folder)
    return folder


def _tokenizer(family: Family, special: list[str]) -> Tokenizer:
    bytes_ = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={b: i for i, b in enumerate(bytes_)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    tokenizer.add_tokens(list(family.plain))
    if family.bos:
        number = tokenizer.token_to_id(family.bos)
        tokenizer.post_processor = TemplateProcessing(
            single=f"{family.bos} $A", special_tokens=[(family.bos, number)]
        )
    return tokenizer
