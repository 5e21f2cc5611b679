"""The embedded model's tokenizer: whole words, a byte fallback, and a chat template."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from cl_bench.contract.prompts import SEED_PROMPT, chat, instructions
from cl_bench.contract.registry import DOMAINS
from cl_bench.contract.task import SPLITS
from cl_bench.tools.embedded.corpus import Corpus, Phase
from cl_bench.tools.embedded.tokenizer import ASSISTANT, END, PAD, SYSTEM, USER, build_tokenizer

TOKENIZER: PreTrainedTokenizerFast = build_tokenizer()


def ids(text: str) -> list[int]:
    encoded: list[int] = TOKENIZER(text, add_special_tokens=False)["input_ids"]
    return encoded


def spelled_words(texts: Iterator[str]) -> set[str]:
    """The words of `texts` that take more than one token."""
    words = {word for text in texts for word in text.split()}
    return {word for word in words if len(ids(f" {word}")) > 1}


@given(st.text())
def test_any_text_survives_a_round_trip(text: str) -> None:
    assert TOKENIZER.decode(ids(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\x00\x01\x7f",
        "a\tb\r\n\n  c ",
        "naïve 你好 🧮👩‍🔬",
        "\u202eevil",
        "don't  f'll",
        "\ufffe",
    ],
)
def test_control_and_foreign_text_survives_a_round_trip(text: str) -> None:
    assert TOKENIZER.decode(ids(text)) == text


def test_a_megabyte_is_encoded() -> None:
    text = "answer 8 " * 110_000
    assert TOKENIZER.decode(ids(text)) == text


def test_every_word_of_the_domains_is_one_token() -> None:
    problems = (
        problem
        for name in DOMAINS
        for setting in ("easy", "default", "hard")
        for seed in range(5)
        for split in SPLITS
        for problem in DOMAINS.load(name)
        .task(seed=seed, setting=setting, feedback="step")
        .problems(split, 10)
    )
    texts = (text for problem in problems for text in (problem.prompt, problem.solution))
    assert spelled_words(texts) == set()


def test_every_rule_of_every_domain_is_one_token_a_word() -> None:
    tasks = (
        DOMAINS.load(name).task(seed=seed, setting="hard", feedback="step")
        for name in DOMAINS
        for seed in range(100)
    )
    assert spelled_words(instructions(task.rules()) for task in tasks) == set()


@pytest.mark.parametrize("phase", [Phase(), Phase(slips=True), Phase(reflections=1.0)])
def test_every_word_of_unseen_documents_is_known(phase: Phase) -> None:
    corpus = Corpus(seed=12345)
    documents = (corpus.document(index, phase) for index in range(400))
    texts = (
        text
        for document in documents
        for text in (*(message["content"] for message in document.messages), document.reply)
    )
    assert spelled_words(texts) == set()


def test_the_vocabulary_is_the_same_on_every_call() -> None:
    assert build_tokenizer().get_vocab() == TOKENIZER.get_vocab()
    assert sorted(TOKENIZER.get_vocab().values()) == list(range(len(TOKENIZER)))


def test_special_tokens_are_single_and_distinct() -> None:
    tokens = (PAD, END, SYSTEM, USER, ASSISTANT)
    assert len({ids(token)[0] for token in tokens}) == len(tokens)
    assert all(len(ids(token)) == 1 for token in tokens)
    assert (TOKENIZER.pad_token, TOKENIZER.eos_token) == (PAD, END)


def test_the_chat_template_has_a_system_role_and_ends_with_the_assistants_tag() -> None:
    text = TOKENIZER.apply_chat_template(
        chat(SEED_PROMPT, "math : one f : 4"), tokenize=False, add_generation_prompt=True
    )
    assert text == f"{SYSTEM} solve step by step .{USER} math : one f : 4{ASSISTANT}"
    assert TOKENIZER.convert_ids_to_tokens(ids(str(text)))[-1] == ASSISTANT


def test_a_finished_reply_extends_the_prompt_and_ends_with_the_end_token() -> None:
    messages = chat(SEED_PROMPT, "math : one f : 4")
    head = TOKENIZER.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    whole = TOKENIZER.apply_chat_template(
        [*messages, {"role": "assistant", "content": "answer 9"}], tokenize=False
    )
    assert whole == f"{head} answer 9{END}"
    assert ids(str(whole))[: len(ids(str(head)))] == ids(str(head))
