"""The contract between a domain and the rest of the suite: problems, verdicts, tasks.

A *domain* (math, code, …) is a family of tasks. A *task* is a domain with one hidden convention,
fixed by the stream's seed. The suite sees nothing of a task but this file's protocols.
"""

from __future__ import annotations

import hashlib
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, get_args, runtime_checkable

from cl_bench.contract.errors import UsageError, unknown
from cl_bench.contract.thoughts import after_thought

Split = Literal["train", "validation", "test"]
FeedbackLevel = Literal["none", "answer", "step", "full"]
"""The amount of feedback on a wrong response: that it is wrong; the right answer; the first wrong
step (domains whose solutions have steps); everything the verifier can tell. A domain has one of the
last two levels, and takes the other for the same."""
Fault = Literal[
    "", "no answer", "two answers", "cut off", "sign", "rounding", "extra words", "wrong"
]
"""The kind of mistake that a response made, as far as a verifier can tell; empty for a right one,
or if the verifier does not say."""
SPLITS: tuple[Split, ...] = get_args(Split)
FEEDBACK_LEVELS: tuple[FeedbackLevel, ...] = get_args(FeedbackLevel)

# Of ten buckets of content hashes: the text of a problem decides its split, never its position.
_BUCKETS: Mapping[Split, range] = {
    "train": range(0, 6),
    "validation": range(6, 8),
    "test": range(8, 10),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem: the text that a learner meets, and the parts that only the verifier needs.

    `prompt` is the user's message. `answer` and `solution` (a full response that scores 1) are for
    the verifier and must not be shown to a model. `uid` names the item in every table.
    """

    uid: str
    domain: str
    prompt: str
    answer: str
    solution: str
    exemplary: bool = True
    """Whether `solution` is what a model should say; False where it only stands for any of the
    responses that score 1, which the domain has no example of."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A verifier's judgement of one response."""

    score: float
    """From 0 to 1."""
    feedback: str
    """What was wrong, in words that a prompt optimiser can use."""
    answer: str | None
    """The answer that was read out of the response; None if nothing could be read."""
    formatted: bool | None = None
    """Whether the answer stood in a form (boxed, tagged, after "answer:"); None where the domain
    does not look for forms."""
    fault: Fault = ""
    """The kind of mistake, at the feedback levels that say more than the right answer."""
    if_cut: str = ""
    """A sentence that comes first where the response was cut off at the length limit, or empty."""

    def of_response(self, *, truncated: bool) -> Verdict:
        """Return the verdict with the note that the response was cut off, if it was and failed."""
        if not (truncated and self.if_cut) or self.score >= 1:
            return self
        fault: Fault = "cut off" if self.fault else ""
        return replace(self, feedback=f"{self.if_cut} {self.feedback}", fault=fault)


def judged(judge: Callable[[str], Verdict], response: str, *, truncated: bool) -> Verdict:
    """Return the verdict of `judge` on what follows the thought of `response`, if it has one.

    A thought that never ends has said nothing. The verdict has a note if the response was cut off.
    """
    return judge(after_thought(response) or "").of_response(truncated=truncated)


class Task(Protocol):
    """A domain under one fixed convention.

    `problems` is deterministic: item i of a split depends on (domain, split, seed, i) alone, so
    asking for more never changes the first ones. No text occurs in two splits; within a split
    texts may repeat, as draws with replacement do. `verify` never raises on any text: the gold
    solution scores 1, garbage scores 0.
    """

    @property
    def name(self) -> str: ...

    def problems(self, split: Split, n: int, start: int = 0) -> list[Problem]: ...

    def verify(self, problem: Problem, response: str) -> Verdict: ...

    def rules(self) -> Sequence[str]:
        """Return the hidden convention as sentences: for probes and reports, never for learners."""
        ...


class IndexedTask(ABC):
    """A task that makes each problem from its split and index alone."""

    @abstractmethod
    def problem(self, split: Split, index: int) -> Problem:
        """Return the problem of that index, which is 0 or more."""

    def problems(self, split: Split, n: int, start: int = 0) -> list[Problem]:
        """Return `n` problems from index `start` on.

        Raises `UsageError` for an unknown split and for negative numbers.
        """
        if split not in SPLITS:
            raise unknown("split", split, SPLITS)
        if n < 0 or start < 0:
            raise UsageError(f"problems(n={n}, start={start}): both must be 0 or more.")
        return [self.problem(split, index) for index in range(start, start + n)]


@runtime_checkable
class Domain(Protocol):
    """A family of tasks, as the registry holds it under a name such as `math`."""

    name: str
    version: str
    """Changes whenever scores on this domain stop being comparable."""

    @property
    def settings(self) -> Collection[str]:
        """Names of the difficulties, easiest first."""
        ...

    def task(self, *, seed: int, setting: str, feedback: FeedbackLevel) -> Task:
        """Return the task that belongs to `seed`; raise `UsageError` for an unknown setting."""
        ...


def require_offered(domain: Domain, setting: str, feedback: str) -> None:
    """Raise `UsageError` unless `domain` has the setting, and the level of feedback exists."""
    if setting not in domain.settings:
        raise unknown(f"setting of {domain.name}", setting, domain.settings)
    if feedback not in FEEDBACK_LEVELS:
        raise unknown("feedback level", feedback, FEEDBACK_LEVELS)


@runtime_checkable
class Referenced(Protocol):
    """An optional ability of a domain: to be found again by a text other than its name."""

    reference: str
    """The text that the registry finds the domain by on this machine: the path of its file."""
    summary: str
    """How its file was read, in one line."""


def hashed_rng(*parts: object) -> random.Random:
    """Return a generator whose seed is a hash of `parts`.

    Adjacent seeds or indices share nothing (reasoning-gym's `seed + index` makes item i of seed s
    equal item i-1 of seed s+1).
    """
    text = "\x1f".join(str(part) for part in parts)
    return random.Random(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big"))


def content_hash(text: str) -> str:
    """Return sixteen hex digits of SHA-256 over the text of a problem."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def split_of(text: str) -> Split:
    """Return the one split in which a problem of this text may appear (60 / 20 / 20 %)."""
    bucket = int(content_hash(text), 16) % 10
    return next(split for split, buckets in _BUCKETS.items() if bucket in buckets)
