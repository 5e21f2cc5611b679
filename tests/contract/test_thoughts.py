"""What a thinking model says after its thought."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from cl_bench.contract.thoughts import after_thought, opened_by, tags_among, thought_length

ANALYSIS = "<|channel|>analysis<|message|>Is it 7? </think> 8?<|end|>"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<think>\nIs it 7? 8?\n</think>\n\nanswer: 9", "answer: 9"),
        ("Is it 7?\n</think>\nanswer: 9", "answer: 9"),
        ("<THINKING>7</THINKING>9", "9"),
        ("[THINK]7[/THINK] 9", "9"),
        ("<think>the tags <think>…</think> are asked for</think>9", "9"),
        ("<think></think>", ""),
        ("<think>Is it 7? answer: 7", None),
        ("Write <think>…</think> before the answer.", "Write <think>…</think> before the answer."),
        (f"{ANALYSIS}<|start|>assistant<|channel|>final<|message|>9", "9"),
        ("<|channel|>final <|constrain|>json<|message|>9<|end|>", "9"),
        (ANALYSIS, None),
        ("<|channel|>commentary to=f<|message|>7", None),
        ("The <|channel|>final<|message|> is said.", "The <|channel|>final<|message|> is said."),
        (" 9 ", " 9 "),
        ("", ""),
    ],
)
def test_what_follows_a_thought_is_what_a_model_said(text: str, said: str | None) -> None:
    assert after_thought(text) == said


@pytest.mark.parametrize(
    ("prompt", "tag"),
    [
        ("<|assistant|>\n<think>\n", "<think>"),
        ("<|assistant|><think>\n\n</think>\n\n", ""),
        ("Use <think>. <|assistant|>", ""),
    ],
)
def test_a_prompt_may_open_the_thought_of_its_response(prompt: str, tag: str) -> None:
    assert opened_by(prompt) == tag


@pytest.mark.parametrize(
    ("words", "length"),
    [
        ("<think> a b </think> 9", 4),
        ("a b </think> 9", 3),
        ("<think> a b", 3),
        ("<think> a <think> b </think> c </think> 9 </think>", 7),
        ("<think> </think>", 2),
        ("9 10", 0),
        ("", 0),
        ("<|channel|>analysis<|message|> a <|end|> <|channel|>final<|message|> 9", 4),
        ("<|channel|>final<|message|> 9", 0),
    ],
)
def test_the_tokens_of_a_thought_are_those_up_to_its_end(words: str, length: int) -> None:
    """A token a word."""
    tokens = words.split()

    def text_of(first: Sequence[int]) -> str:
        return "".join(tokens[: len(first)])

    assert thought_length(range(len(tokens)), text_of) == length


def test_marks_of_channels_are_tags_where_there_are_channels() -> None:
    assert tags_among(["<s>", "[THINK]", "[/THINK]", "<|end|>"]) == {"[THINK]", "[/THINK]"}
    harmony = {"<|channel|>", "<|message|>", "<|end|>", "<|start|>"}
    assert tags_among([*harmony, "<|return|>"]) == harmony
