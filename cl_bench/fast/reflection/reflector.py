"""Reflection: rewriting instructions from what a verifier said of rollouts made under them.

After GEPA's reflective mutation (arXiv 2507.19457, section 3.2). What differs: the reflection LM
is by default the policy's own frozen base instead of a stronger model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from cl_bench.contract.errors import ReflectionError
from cl_bench.contract.journal import Style
from cl_bench.contract.prompts import Message, chat, reflection
from cl_bench.contract.task import Verdict
from cl_bench.contract.text import one_line

if TYPE_CHECKING:
    from cl_bench.model.policy import Policy, Rollout

MAX_PROMPT_CHARACTERS = 4_000
"""A rewrite longer than this is a failed reflection."""
ROOM: dict[Style, int] = {"rules": 64, "transcript": 512, "brief": 48}
"""Tokens that a rewrite may add to the current instructions."""
_BRIEF = """\
Instructions for an assistant: {current}

It made these mistakes:
{mistakes}

Write better instructions for the assistant, in two short sentences. Do not solve the problems."""
_SHOWN = 200
"""Characters of a problem and of a line of feedback in a brief request."""
_MISTAKES = 3
_WORDS = 80
"""Words beyond which a text that a small model wrote is no instruction."""
_TELLS = re.compile(
    r"\b(add|always|answer|avoid|be|calculate|check|compute|count|do|end|ensure|explain|find|focus|"
    r"follow|give|keep|make|must|never|only|provide|read|reply|respond|return|show|should|solve|"
    r"state|take|think|use|verify|work|write)\b",
    re.IGNORECASE,
)
"""An instruction has one of these words."""
_TALK = re.compile(
    r"\A(sure|sorry|here|yes|no|hello|hi)\b|\bi('m|'ll|'d)?\b(?!\.e)"
    r"|(?<!that the )(?<!sure the )(?<!if the )(?<!whether the )\b(answer|solution|result) is\b"
    r"|\b((?<!avoid )mistakes?|feedback|they)\b"
    r"|\b(the (assistant|response) (has|had|have|is|was|did|does|made))\b",
    re.IGNORECASE,
)
"""What a text says that speaks to somebody, of itself, of an answer, or of what was done."""
_NUMBER = re.compile(r"[0-9]+(?:[.,][0-9]+)*")
_LISTED = re.compile(r"(?:\A|(?<=[.!:] )|(?<=\n))[0-9][.)] ")
"""The number of an item in a list."""
_LANGUAGE = re.compile(r"\A[\w+-]*\n")
_FENCE = "```"
_LOW = 0.5
"""Temperature at which a brief request is repeated."""
_REQUEST = """\
An assistant works under these instructions:
```
{current}
```
Below are problems it was given, its responses, and what a verifier said of each response.

{transcript}

Write better instructions for the assistant. Keep what works, and state every general fact, rule \
or convention that the feedback reveals and that future problems may need; the assistant will not \
see this feedback. Do not solve the problems above. Give the complete new instructions between \
``` fences and nothing after them."""
_ENTRY = """\
# Problem {number}
{prompt}

# Response {number}
{response}

# Feedback {number} (score {score:g})
{feedback}"""


@dataclass(frozen=True, slots=True)
class JudgedRollout:
    """A response to a problem and what the verifier said of it."""

    prompt: str
    response: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Reflection:
    """Rewritten instructions, and the tokens read and written to get them."""

    text: str
    tokens: int
    fault: str = field(default="", compare=False)
    """Why there is no text, in a few words that repeat from call to call."""


Request = tuple[str, Sequence[JudgedRollout]]
"""The current instructions and rollouts made under them."""


class Reflector(Protocol):
    """Proposes new instructions.

    It gets the current ones and at least one rollout made under them, and must not change either.
    When it cannot, it raises `ReflectionError`: the prompt optimiser then goes on without that
    rewrite and counts the failure. Any other error is taken for a fault and stops the run.
    """

    def __call__(self, current: str, rollouts: Sequence[JudgedRollout], /) -> Reflection: ...


@runtime_checkable
class BatchReflector(Reflector, Protocol):
    """A reflector that answers independent requests together: one reflection each, in order."""

    def reflect_many(self, requests: Sequence[Request]) -> list[Reflection]: ...


class BaseReflector:
    """The policy's frozen base as reflection LM.

    `style` is how it is asked: "rules" sends only the verifier's lines, as the embedded model was
    trained to read them; "transcript" sends problems, responses and feedback in plain English;
    "brief" a few lines of problems and feedback, which a small model can follow, and takes only a
    reply that reads as instructions (`instruction_fault`). None takes what the tokenizer's config
    says under `reflection_style`, else "brief". `retries` is how often an unusable reply is sampled
    anew. A brief request is decoded greedily, and again at a low temperature.
    """

    def __init__(self, policy: Policy, style: Style | None = None, *, retries: int = 0) -> None:
        self._policy, self._retries = policy, retries
        self.style: Style = style or declared_style(policy, "brief")

    def __call__(self, current: str, rollouts: Sequence[JudgedRollout]) -> Reflection:
        return self.reflect_many([(current, rollouts)])[0]

    def reflect_many(self, requests: Sequence[Request]) -> list[Reflection]:
        """All requests in one padded generation, cut where the longest one has to be cut."""
        answers = self._sample(requests, again=False)
        for _ in range(self._retries):
            again = [place for place, answer in enumerate(answers) if fault_of(answer.text)]
            if not again:
                break
            sampled = self._sample([requests[place] for place in again], again=True)
            for place, answer in zip(again, sampled, strict=True):
                answers[place] = replace(answer, tokens=answers[place].tokens + answer.tokens)
        return answers

    def _sample(self, requests: Sequence[Request], *, again: bool) -> list[Reflection]:
        lengths = self._policy.tokenizer(
            [current for current, _ in requests], add_special_tokens=False
        )["input_ids"]
        chats = [request_messages(self.style, current, rollouts) for current, rollouts in requests]
        room = max(map(len, lengths)) + ROOM[self.style]
        if not all(self._policy.fits(asked, room) for asked in chats):
            raise ReflectionError("a request longer than the context")
        replies = self._policy.generate(
            chats,
            max_new_tokens=room,
            temperature=1.0 if self.style != "brief" else _LOW if again else 0.0,
            from_base=True,
        )
        return [
            self._read(reply, rollouts)
            for reply, (_, rollouts) in zip(replies, requests, strict=True)
        ]

    def _read(self, reply: Rollout, rollouts: Sequence[JudgedRollout]) -> Reflection:
        """The new instructions; empty where a brief reply holds none."""
        text = read_reply(self.style, reply.text)
        tokens = len(reply.prompt_ids) + len(reply.completion_ids)
        fault = instruction_fault(text, rollouts) if self.style == "brief" else ""
        return (
            Reflection("", tokens, f"no instruction ({fault})")
            if fault
            else Reflection(text, tokens)
        )


def declared_style(policy: Policy, otherwise: Style) -> Style:
    """How the policy's model was trained to be asked, by its tokenizer's config."""
    declared = policy.tokenizer.init_kwargs.get("reflection_style")
    return "rules" if declared == "rules" else otherwise


def request_messages(
    style: Style, current: str, rollouts: Sequence[JudgedRollout]
) -> list[Message]:
    """What a reflection LM is asked, in the given style."""
    if style == "rules":
        return reflection(current, feedback_lines(rollouts))
    if style == "brief":
        return chat("", _BRIEF.format(current=current, mistakes=_mistakes(rollouts)))
    return chat("", _REQUEST.format(current=current, transcript=_transcript(rollouts)))


def read_reply(style: Style, reply: str) -> str:
    """The new instructions in a reply."""
    return reply.strip() if style == "rules" else fenced(reply).strip("\"' \n")


def fault_of(text: str) -> str:
    """Why `text` cannot be used as instructions, in a few words; empty when it can."""
    if not text.strip():
        return "an empty text"
    if len(text.strip()) > MAX_PROMPT_CHARACTERS:
        return f"a text of more than {MAX_PROMPT_CHARACTERS:,} characters"
    return ""


def instruction_fault(text: str, rollouts: Sequence[JudgedRollout]) -> str:
    """Why what a small model wrote is no instruction, in a few words; empty when it may be one.

    It is none if it is empty or long, asks, chats or tells what happened, holds a number of a
    problem or of its feedback (an answer, or a solution under way), or has no word that tells
    somebody to do something.
    """
    words = re.findall(r"[a-z']+", text.lower())
    told = " ".join(f"{rollout.prompt} {rollout.verdict.feedback}" for rollout in rollouts)
    if not words or len(words) > _WORDS:
        return f"not 1 to {_WORDS} words"
    if "?" in text or _TALK.search(text):
        return "a question or talk"
    if set(_NUMBER.findall(_LISTED.sub("", text))) & set(_NUMBER.findall(told)):
        return "a number of a problem"
    return "" if _TELLS.search(text) else "no word that tells what to do"


def feedback_lines(rollouts: Sequence[JudgedRollout]) -> list[str]:
    """The distinct feedback of `rollouts`, that of failing ones first, else in their order."""
    return list(dict.fromkeys(rollout.verdict.feedback for rollout in _failing_first(rollouts)))


def fenced(reply: str) -> str:
    """What stands between the first and the last ``` fence, without a language tag.

    A fence that is never closed reaches to the end; without any fence it is the whole reply.
    """
    _, opening, rest = reply.partition(_FENCE)
    if not opening:
        return reply.strip()
    inside = rest.rpartition(_FENCE)[0] if _FENCE in rest else rest
    return _LANGUAGE.sub("", inside).strip()


def _failing_first(rollouts: Sequence[JudgedRollout]) -> list[JudgedRollout]:
    return sorted(rollouts, key=lambda rollout: rollout.verdict.score >= 1.0)


def _mistakes(rollouts: Sequence[JudgedRollout]) -> str:
    """The first few rollouts, failing ones first, a line each."""
    return "\n".join(
        f"- {one_line(rollout.prompt[-_SHOWN:])} {one_line(rollout.verdict.feedback, _SHOWN)}"
        for rollout in _failing_first(rollouts)[:_MISTAKES]
    )


def _transcript(rollouts: Sequence[JudgedRollout]) -> str:
    return "\n\n".join(
        _ENTRY.format(
            number=number,
            prompt=rollout.prompt,
            response=rollout.response,
            score=rollout.verdict.score,
            feedback=rollout.verdict.feedback,
        )
        for number, rollout in enumerate(_failing_first(rollouts), start=1)
    )
