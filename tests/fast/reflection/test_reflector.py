"""Reflection on the policy's frozen base, and what it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from cl_bench.contract.journal import Style
from cl_bench.contract.prompts import SEED_PROMPT, reflection
from cl_bench.contract.task import Verdict
from cl_bench.fast.reflection.reflector import (
    BaseReflector,
    BatchReflector,
    JudgedRollout,
    Reflection,
    feedback_lines,
    fenced,
    instruction_fault,
    read_reply,
)
from cl_bench.model.policy import Chat, Policy, Rollout


def judged(feedback: str, score: float = 0.0) -> JudgedRollout:
    return JudgedRollout("math : one f : 4", "answer 4", Verdict(score, feedback, None))


ROLLOUTS = [
    judged("math : correct", 1.0),
    judged("math : wrong at step 1 : f adds 3"),
    judged("math : slip at step 2 : 4 -> 7"),
    judged("math : wrong at step 1 : f adds 3"),
]


class RecordingPolicy(Policy):
    """A policy that keeps what it was asked for and what it answered, or answers by script."""

    scripted: str | None = None

    def generate(
        self,
        chats: Sequence[Chat],
        *,
        max_new_tokens: int,
        temperature: float = 1.0,
        from_base: bool = False,
    ) -> list[Rollout]:
        self.asked = list(chats)
        self.settings = (max_new_tokens, temperature, from_base)
        self.answered = (
            super().generate(
                chats, max_new_tokens=max_new_tokens, temperature=temperature, from_base=from_base
            )
            if self.scripted is None
            else [Rollout((1, 2, 3), (4, 5), self.scripted, False) for _ in chats]
        )
        return self.answered


@pytest.fixture
def policy(tiny_model: Path) -> RecordingPolicy:
    loaded = RecordingPolicy.load(str(tiny_model))
    assert isinstance(loaded, RecordingPolicy)
    # The tiny model spells plain English in bytes; a whole transcript is longer than its context.
    loaded.model.config.max_position_embeddings = 8_192
    return loaded


def test_feedback_lines_are_distinct_and_name_failures_first() -> None:
    assert feedback_lines(ROLLOUTS) == [
        "math : wrong at step 1 : f adds 3",
        "math : slip at step 2 : 4 -> 7",
        "math : correct",
    ]


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ("Here:\n```\nBe brief.\nf adds 3.\n```\nDone.", "Be brief.\nf adds 3."),
        ("```text\nBe brief.\n```", "Be brief."),
        ("```Be brief.```", "Be brief."),
        ("```\nBe brief.", "Be brief."),
        ("```\nEnd in\n```python\n9\n```\nonly.\n```", "End in\n```python\n9\n```\nonly."),
        ("Now:\n```\nThink.\n```\nBetter:\n```\nBe brief.\n```", "Be brief."),
        ("  Be brief.\n", "Be brief."),
        ("``````", ""),
        ("", ""),
    ],
)
def test_new_instructions_are_read_from_between_the_fences(reply: str, text: str) -> None:
    assert fenced(reply) == text


def test_the_embedded_tokenizer_asks_for_the_rules_style(policy: RecordingPolicy) -> None:
    reflector = BaseReflector(policy)
    assert isinstance(reflector, BatchReflector)
    assert reflector.style == "rules"
    reflector(SEED_PROMPT, ROLLOUTS)
    assert policy.asked == [reflection(SEED_PROMPT, feedback_lines(ROLLOUTS))]
    length = len(policy.tokenizer(SEED_PROMPT)["input_ids"])
    assert policy.settings == (length + 64, 1.0, True)


def test_a_transcript_shows_problems_responses_and_feedback(policy: RecordingPolicy) -> None:
    policy.scripted = "Sure.\n```\nf adds 3.\n```"
    rollouts = [JudgedRollout("What is {f} of 4?", "It is 4.", Verdict(0.5, "f adds 3", "4"))]
    reflector = BaseReflector(policy, "transcript")
    assert reflector("Think {well}.", rollouts) == Reflection("f adds 3.", 5)
    request = policy.asked[0][-1]["content"]
    for part in ("Think {well}.", "What is {f} of 4?", "It is 4.", "f adds 3", "score 0.5"):
        assert part in request


THOUGHT = "Now it says\n```\nold\n```\nand lacks a rule."


@pytest.mark.parametrize("style", ["rules", "transcript", "brief"])
@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (f"<think>\n{THOUGHT}\n</think>\n\nAdd 3.", "Add 3."),
        (f"{THOUGHT}\n</think>\nAdd 3.", "Add 3."),  # the template opened the thought
        (f"[THINK]{THOUGHT}[/THINK]Add 3.", "Add 3."),
        ("Add <think> and </think>.", "Add <think> and </think>."),
        (f"<think>\n{THOUGHT}", ""),
    ],
)
def test_what_a_thought_says_is_no_part_of_the_instructions(
    policy: RecordingPolicy, style: Style, reply: str, text: str
) -> None:
    policy.scripted = reply
    fault = "" if text else "a thought without an end"
    assert BaseReflector(policy, style)("old", [wrong(1)]) == Reflection(text, 5)
    assert read_reply(style, reply) == (text, fault)


def test_a_reply_that_was_cut_off_is_sampled_anew_and_then_a_failure(
    policy: RecordingPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = [True, True, False]

    def generate(chats: Sequence[Chat], **_: object) -> list[Rollout]:
        return [Rollout((1, 2, 3), (4, 5), "f adds 3 ;", cut.pop(0)) for _ in chats]

    monkeypatch.setattr(policy, "generate", generate)
    failed = BaseReflector(policy, retries=1)(SEED_PROMPT, ROLLOUTS)
    assert (failed.text, failed.tokens) == ("", 2 * 5)
    assert "cut off" in failed.fault
    assert BaseReflector(policy, retries=1)(SEED_PROMPT, ROLLOUTS).text == "f adds 3 ;"


LONG = f"Once {'upon a time ' * 40}\nthere were 7 apples. How many are {{left}}?"


def wrong(number: int, score: float = 0.0) -> JudgedRollout:
    return JudgedRollout(f"Problem {number}?", "It is 4.", Verdict(score, f"Line {number}.", "4"))


def test_any_other_tokenizer_is_asked_briefly(policy: RecordingPolicy) -> None:
    del policy.tokenizer.init_kwargs["reflection_style"]
    policy.scripted = '"Write the answer alone."\n'
    told = JudgedRollout(LONG, "It is 4.", Verdict(0.5, "The right answer\nis {5}.", "4"))
    reflector = BaseReflector(policy)
    assert reflector.style == "brief"
    rollouts = [wrong(1, 1.0), told, wrong(2), wrong(3)]
    assert reflector("Think {well}.", rollouts) == Reflection("Write the answer alone.", 5)
    ((request,),) = policy.asked
    lines = request["content"].splitlines()
    assert lines[0] == "Instructions for an assistant: Think {well}."
    mistakes = [line for line in lines if line.startswith("- ")]
    assert mistakes[0].endswith(
        "there were 7 apples. How many are {left}? The right answer is {5}."
    )
    assert "Once" not in mistakes[0]
    assert mistakes[1:] == ["- Problem 2? Line 2.", "- Problem 3? Line 3."]  # failing ones first
    assert "It is 4." not in request["content"]
    length = len(policy.tokenizer("Think {well}.")["input_ids"])
    assert policy.settings == (length + 48, 0.0, True)


def test_a_brief_request_is_decoded_greedily_and_again_at_a_low_temperature(
    policy: RecordingPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    temperatures = []

    def generate(chats: Sequence[Chat], *, temperature: float, **_: object) -> list[Rollout]:
        temperatures.append(temperature)
        said = ["I will.", "What is 4?", "Check the sign."][len(temperatures) - 1]
        return [Rollout((1, 2, 3), (4, 5), said, False) for _ in chats]

    monkeypatch.setattr(policy, "generate", generate)
    answer = BaseReflector(policy, "brief", retries=3)("Think.", [wrong(1)])
    assert answer == Reflection("Check the sign.", 3 * 5)
    assert temperatures == [0.0, 0.5, 0.5]


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        ("Write the answer alone.", ""),
        ("Be brief. Give 2 digits after the point.", ""),
        ("Always check that the answer is correct before you finish.", ""),
        ("Make sure the solution is complete.", ""),
        ("Avoid mistakes and state the number only.", ""),
        ("Give the final number, i.e. the result.", ""),
        ("5. Read the problem. 7. Give the number.", ""),
        ("", "not 1 to 80 words"),
        ("12 + 12", "not 1 to 80 words"),
        ("work " * 80, ""),
        ("work " * 81, "not 1 to 80 words"),
        ("Should you write the answer alone?", "a question or talk"),
        ("Sure, write the answer alone.", "a question or talk"),
        ("I'm going to write the answer alone.", "a question or talk"),
        ("The answer is to write less.", "a question or talk"),
        ("Write briefly. The correct answer is 18.", "a question or talk"),
        ("The assistant has given the wrong answer.", "a question or talk"),
        ("They should have given the right answer.", "a question or talk"),
        ("Write 12 as the answer.", "a number of a problem"),
        ("Write 3.5 as the answer.", "a number of a problem"),
        ("Apples are fruit.", "no word that tells what to do"),
    ],
)
def test_what_a_small_model_wrote_has_to_read_as_an_instruction(
    policy: RecordingPolicy, reply: str, fault: str
) -> None:
    rollouts = [JudgedRollout("What is 5 + 7?", "13", Verdict(0.0, "Not 3.5; it is 12.", "13"))]
    assert instruction_fault(reply.strip(), rollouts) == fault
    policy.scripted = reply
    answer = BaseReflector(policy, "brief")("Think.", rollouts)
    assert answer == Reflection("" if fault else reply.strip(), 5)
    if fault:  # which other styles do not ask
        assert BaseReflector(policy, "transcript")("Think.", rollouts).text == reply.strip()


def test_a_request_that_does_not_fit_into_the_context_is_a_failed_reflection(
    policy: RecordingPolicy,
) -> None:
    policy.model.config.max_position_embeddings = 512
    answer = BaseReflector(policy, "transcript")("old", ROLLOUTS)
    assert (answer.text, answer.fault) == ("", "a request longer than the context")


def test_a_request_that_does_not_fit_fails_alone(policy: RecordingPolicy) -> None:
    policy.scripted = "new"
    policy.model.config.max_position_embeddings = 512
    long = "a long prompt , " * 30
    answers = BaseReflector(policy, "rules").reflect_many([("old", ROLLOUTS), (long, ROLLOUTS)])
    assert [answer.text for answer in answers] == ["new", ""]
    assert answers[1].fault == "a request longer than the context"


def test_the_style_can_be_chosen(policy: RecordingPolicy) -> None:
    policy.scripted = " ```new``` "
    assert BaseReflector(policy, "rules")("old", ROLLOUTS).text == "```new```"
    assert BaseReflector(policy, "transcript")("old", ROLLOUTS).text == "new"


def test_tokens_read_and_written_are_counted(policy: RecordingPolicy) -> None:
    requests = [("solve .", ROLLOUTS[:1]), (SEED_PROMPT, ROLLOUTS)]
    answers = BaseReflector(policy).reflect_many(requests)
    prompts = policy.encode([reflection(text, feedback_lines(of)) for text, of in requests])
    written = [len(rollout.completion_ids) for rollout in policy.answered]
    assert [answer.tokens for answer in answers] == [
        len(prompt) + count for prompt, count in zip(prompts, written, strict=True)
    ]
    assert min(written) > 0
    whole = ["" if rollout.truncated else rollout.text for rollout in policy.answered]
    assert [answer.text for answer in answers] == whole


def test_it_writes_from_the_frozen_base_whatever_became_of_the_model(policy: Policy) -> None:
    reflector = BaseReflector(policy)

    def reflect() -> Reflection:
        torch.manual_seed(0)
        return reflector(SEED_PROMPT, ROLLOUTS)

    def respond() -> str:
        torch.manual_seed(0)
        chats = [reflection(SEED_PROMPT, feedback_lines(ROLLOUTS))]
        return policy.generate(chats, max_new_tokens=8)[0].text

    before, response = reflect(), respond()
    with torch.no_grad():
        for parameter in policy.model.parameters():
            parameter.normal_()
    assert respond() != response
    assert reflect() == before


def test_an_unusable_reply_is_sampled_anew_a_bounded_number_of_times(
    policy: RecordingPolicy,
) -> None:
    policy.scripted = " "
    answer = BaseReflector(policy, retries=2)(SEED_PROMPT, ROLLOUTS)
    assert answer == Reflection("", 3 * 5)  # three attempts at five tokens
    policy.scripted = "f adds 3 ;"
    assert BaseReflector(policy, retries=2)(SEED_PROMPT, ROLLOUTS).tokens == 5
