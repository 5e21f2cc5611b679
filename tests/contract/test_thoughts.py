"""What a thinking model says after its thought."""

from __future__ import annotations

import pytest

from cl_bench.contract.thoughts import after_thought, opened_by


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
