"""The embedded model's tokenizer: whole words of the micro domains, bytes for everything else.

Byte-level BPE without merges: a word of the vocabulary (with its leading space) is one token and
any other text falls back to its UTF-8 bytes, so no text breaks it and decoding loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from cl_bench.tools.embedded.corpus import Corpus, Phase

PAD, END, SYSTEM, USER, ASSISTANT = (
    "<|pad|>",
    "<|end|>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
)
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ '<|' + message['role'] + '|> ' + message['content'] }}"
    "{%- if message['role'] == 'assistant' -%}{{ '<|end|>' }}{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}"
)
_DOCUMENTS_FOR_VOCABULARY = 3_000


def build_tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer over the words of the pretraining corpus; the same on every call."""
    vocabulary = [PAD, END, SYSTEM, USER, ASSISTANT, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    vocabulary += [f"Ġ{word}" for word in _corpus_words()]
    model = models.BPE(
        vocab={token: i for i, token in enumerate(vocabulary)}, merges=[], ignore_merges=True
    )
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [AddedToken(t, special=True, normalized=False) for t in (PAD, END, SYSTEM, USER, ASSISTANT)]
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[SYSTEM, USER, ASSISTANT],
        chat_template=CHAT_TEMPLATE,
        padding_side="left",
        model_max_length=512,
        clean_up_tokenization_spaces=False,
        reflection_style="rules",
    )


def _corpus_words() -> Iterable[str]:
    corpus = Corpus(seed=0)
    words: set[str] = set()
    for i in range(_DOCUMENTS_FOR_VOCABULARY):
        document = corpus.document(i, Phase())
        for text in (*(m["content"] for m in document.messages), document.reply):
            words.update(text.split())
    return sorted(words)
