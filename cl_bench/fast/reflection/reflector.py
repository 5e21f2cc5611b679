"""Reflection: rewriting instructions by the verifier's feedback on rollouts made under them.

After GEPA's reflective mutation (arXiv 2507.19457, section 3.2), with one difference: by default
the reflection LM is the policy's own frozen base instead of a stronger model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from cl_bench.contract.journal import Style
from cl_bench.contract.prompts import Message, chat, reflection
from cl_bench.contract.task import Verdict
from cl_bench.contract.text import one_line
from cl_bench.contract.thoughts import after_thought

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
"""Rollouts in a brief request."""
_WORDS = 80
"""Words of an instruction that a small model wrote, at most."""
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
"""Marks of a text that is not an instruction: it greets, speaks of itself, of an answer, or of the
past."""
_NUMBER = re.compile(r"[0-9]+(?:[.,][0-9]+)*")
_LISTED = re.compile(r"(?:\A|(?<=[.!:] )|(?<=\n))[0-9][.)] ")
"""The number of an item in a list."""
_FENCE = re.compile(r"```(?:(?P<language>[\w+-]+)\n)?")
"""A fence, with the language tag of one that opens."""
_LOW = 0.5
"""Temperature at which a brief request is repeated; greedy decoding would repeat its reply."""
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
    """A response to a problem, with the verifier's verdict."""

    prompt: str
    response: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Reflection:
    """Rewritten instructions, and the tokens read and written to get them."""

    text: str
    tokens: int
    fault: str = field(default="", compare=False)
    """The reason why there is no text, in a few words that repeat from call to call."""


Request = tuple[str, Sequence[JudgedRollout]]
"""The current instructions and rollouts made under them."""


class Reflector(Protocol):
    """Proposes new instructions."""

    def __call__(self, current: str, rollouts: Sequence[JudgedRollout], /) -> Reflection:
        """Return new instructions, given the current ones and at least one rollout under them.

        Arguments must not be changed. Raises `ReflectionError` if it cannot: the prompt optimiser
        counts the failure and goes on without that rewrite. Any other error stops the run.
        """
        ...


@runtime_checkable
class BatchReflector(Reflector, Protocol):
    """A reflector that answers independent requests together."""

    def reflect_many(self, requests: Sequence[Request]) -> list[Reflection]:
        """Return one reflection for each request, in order."""
        ...


class BaseReflector:
    """The policy's frozen base as reflection LM.

    It is asked in one of three styles: "rules" sends only the verifier's lines, as the embedded
    model was trained to read them; "transcript" sends problems, responses and feedback in plain
    English; "brief" sends a few lines of problems and feedback, which a small model can follow, and
    accepts only a reply that reads as instructions (`instruction_fault`). If `style` is None, it is
    the `reflection_style` of the tokenizer's config, else "brief". An unusable reply is sampled
    anew up to `retries` times; a brief one is decoded greedily first, then at a low temperature.
    A reply is unusable too if it was cut off, or is a thought without an end.
    """

    def __init__(self, policy: Policy, style: Style | None = None, *, retries: int = 0) -> None:
        self._policy, self._retries = policy, retries
        self.style: Style = style or declared_style(policy, "brief")

    def __call__(self, current: str, rollouts: Sequence[JudgedRollout]) -> Reflection:
        return self.reflect_many([(current, rollouts)])[0]

    def reflect_many(self, requests: Sequence[Request]) -> list[Reflection]:
        """Return a reflection for each request, all of one generation.

        They share the longest one's limit of tokens. A request that exceeds the context fails
        alone.
        """
        answers = self._sample(requests, again=False)
        for _ in range(self._retries):
            again = [place for place, answer in enumerate(answers) if answer.fault]
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
        rooms = [len(length) + ROOM[self.style] for length in lengths]
        fitting = [p for p, asked in enumerate(chats) if self._policy.fits(asked, rooms[p])]
        answers = [Reflection("", 0, "a request longer than the context")] * len(requests)
        if not fitting:
            return answers
        room = max(rooms[place] for place in fitting)
        fitting = [place for place in fitting if self._policy.fits(chats[place], room)]
        replies = self._policy.generate(
            [chats[place] for place in fitting],
            max_new_tokens=room,
            temperature=1.0 if self.style != "brief" else _LOW if again else 0.0,
            from_base=True,
        )
        for place, reply in zip(fitting, replies, strict=True):
            answers[place] = self._read(reply, requests[place][1])
        return answers

    def _read(self, reply: Rollout, rollouts: Sequence[JudgedRollout]) -> Reflection:
        """Return the new instructions, or an empty text and the fault of an unusable reply."""
        text, fault = read_reply(self.style, reply.text, cut=reply.truncated)
        if not fault and self.style == "brief":
            unfit = instruction_fault(text, rollouts)
            fault = f"no instruction ({unfit})" if unfit else ""
        return Reflection("" if fault else text, reply.length, fault)


def declared_style(policy: Policy, otherwise: Style) -> Style:
    """Return the style that the model was trained to be asked in, by its tokenizer's config."""
    declared = policy.tokenizer.init_kwargs.get("reflection_style")
    return "rules" if declared == "rules" else otherwise


def request_messages(
    style: Style, current: str, rollouts: Sequence[JudgedRollout]
) -> list[Message]:
    """Return the request to a reflection LM, in the given style."""
    if style == "rules":
        return reflection(current, feedback_lines(rollouts))
    if style == "brief":
        return chat("", _BRIEF.format(current=current, mistakes=_mistakes(rollouts)))
    return chat("", _REQUEST.format(current=current, transcript=_transcript(rollouts)))


def read_reply(style: Style, reply: str, *, cut: bool = False) -> tuple[str, str]:
    """Return the new instructions in a reply, and why they cannot be used (empty if they can).

    They stand after the reply's thought, if it has one. `cut` says that the reply was cut off at
    its limit: what is there of it is not a whole instruction.
    """
    if cut:
        return "", "a reply that was cut off at its limit"
    said = after_thought(reply)
    if said is None:
        return "", "a thought without an end"
    text = said.strip() if style == "rules" else fenced(said).strip("\"' \n")
    return text, fault_of(text)


def fault_of(text: str) -> str:
    """Return why `text` cannot be used as instructions, in a few words; empty if it can."""
    if not text.strip():
        return "an empty text"
    if len(text.strip()) > MAX_PROMPT_CHARACTERS:
        return f"a text of more than {MAX_PROMPT_CHARACTERS:,} characters"
    return ""


def instruction_fault(text: str, rollouts: Sequence[JudgedRollout]) -> str:
    """Return why a small model's text is not an instruction, in a few words; empty if it may be.

    It is not one if it is empty or long, asks, chats or tells what happened, holds a number of a
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
    """Return the distinct feedback of `rollouts`, that of failing ones first."""
    return list(dict.fromkeys(rollout.verdict.feedback for rollout in _failing_first(rollouts)))


def fenced(reply: str) -> str:
    """Return the last text between ``` fences, without a language tag; other fences may be in it.

    A fence that is never closed reaches to the end; without any fence the whole reply is returned.
    """
    begin, end, depth = 0, len(reply), 0
    for fence in _FENCE.finditer(reply):
        opens = depth == 0 or bool(fence["language"])
        if opens and depth == 0:
            begin, end = fence.end(), len(reply)
        depth += 1 if opens else -1
        if depth == 0:
            end = fence.start()
    return reply[begin:end].strip()


def _failing_first(rollouts: Sequence[JudgedRollout]) -> list[JudgedRollout]:
    return sorted(rollouts, key=lambda rollout: rollout.verdict.score >= 1.0)


def _mistakes(rollouts: Sequence[JudgedRollout]) -> str:
    """Return the first few rollouts, failing ones first, a line each."""
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
