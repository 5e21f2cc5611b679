"""The micro domains' common part: conventions, the step notation, the verifier and the splits.

A micro problem is short enough for the embedded model. It is solved in *steps*, joined by ` ; `,
each a few *segments* joined by ` : `. A segment either quotes a rule of the convention
(`f adds 5`) or shows work (`4 -> 9`). The last step is `answer …` and alone decides the score;
the others let the verifier name the first wrong one.

    order left ; one f adds 5 : 4 -> 9 ; two g doubles : 9 -> 8 ; answer 8
"""

from __future__ import annotations

import random
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from cl_bench.contract.errors import UsageError
from cl_bench.contract.registry import DOMAINS
from cl_bench.contract.task import (
    FeedbackLevel,
    IndexedTask,
    Problem,
    Split,
    Verdict,
    content_hash,
    hashed_rng,
    require_offered,
    split_of,
)

Convention = Mapping[str, str]
"""Rule key to meaning: `{"f": "adds 5", "order": "left"}`; the rule reads `f adds 5`."""

INDEX_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight")
DIGITS = tuple("0123456789")
_MAX_RESPONSE = 4_000
"""Characters of a response beyond which it is not read."""
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Level:
    """The difficulty of a setting."""

    lengths: tuple[int, ...]
    """Numbers of steps (operators, hops, path edges) a problem may have, drawn uniformly."""
    meanings: int
    """A task draws its convention from this many of each rule's meanings."""
    degree: int = 0
    """Branches at every node of a path (graph domains only)."""


@dataclass(frozen=True, slots=True)
class Question:
    """A problem before any convention: its text and the parts its solver needs."""

    text: str
    parts: tuple[object, ...]
    length: int
    """Number of operators, hops or edges; in pretraining, longer work has more slips."""


@dataclass(frozen=True, slots=True)
class Solution:
    """A worked answer: the steps (without the last) and the answer."""

    steps: tuple[str, ...]
    answer: str

    @property
    def text(self) -> str:
        return " ; ".join((*self.steps, f"answer {self.answer}"))


class Slip:
    """A careless hand: with probability `rate`, a result is replaced by a random other choice.

    Later steps follow from the slipped value. `Slip.never` works without error.
    """

    never: ClassVar[Slip]

    def __init__(self, rng: random.Random, rate: float) -> None:
        self._rng, self._rate = rng, rate

    def __call__(self, right: str, choices: Sequence[str]) -> str:
        if self._rate and self._rng.random() < self._rate:
            return self._rng.choice([choice for choice in choices if choice != right])
        return right


Slip.never = Slip(random.Random(0), 0.0)


class MicroDomain(ABC):
    """A domain of short procedural problems under a convention of a few rules.

    A subclass gives its names, the meanings each rule can have, its levels, and two methods:
    `draw` a question and `solve` it under a convention.
    """

    name: str
    version: str = "1"
    meanings: Mapping[str, tuple[str, ...]]
    levels: Mapping[str, Level]
    same: tuple[str, ...] = ()
    """Segments that look like rules and hold under every convention: there is nothing to learn."""
    slip_rate: float
    """Pretraining only: probability of a slip per result, for each unit of a question's length."""
    sides: int = 1
    """Kinds of answers (true, false) that a task's problems have in equal number: see `side`."""

    @abstractmethod
    def draw(self, rng: random.Random, level: Level, convention: Convention) -> Question:
        """Return a random question.

        `convention` serves only to balance true and false claims.
        """

    @abstractmethod
    def solve(self, question: Question, convention: Convention, slip: Slip) -> Solution:
        """Return the worked solution under `convention`; `slip` may falsify each result."""

    def side(self, question: Question, convention: Convention) -> int:
        """Return the kind of the right answer, a number below `sides`.

        Of the first problems of a split, any multiple of `sides` has as many of each kind.
        """
        return 0

    def at(self, version: str) -> MicroDomain | None:
        """Return the domain as it was in `version`, which makes that version's problems; None if
        that is not kept."""
        return self if version == self.version else None

    @property
    def settings(self) -> Collection[str]:
        return self.levels.keys()

    def draw_convention(self, rng: random.Random, meanings: int) -> dict[str, str]:
        """Return a task's convention: of each rule, one of its first `meanings` meanings."""
        return {key: rng.choice(values[:meanings]) for key, values in self.meanings.items()}

    def guess(self, key: str, rng: random.Random) -> str:
        """Return a meaning for a rule that nobody stated: the prior of pretraining."""
        return rng.choice(self.meanings[key])

    def task(self, *, seed: int, setting: str, feedback: FeedbackLevel) -> MicroTask:
        require_offered(self, setting, feedback)
        return MicroTask(self, seed, setting, feedback)


def micro_domain(name: str) -> MicroDomain:
    """Return the micro domain of that name; raise `UsageError` for another kind of domain."""
    domain = DOMAINS.load(name)
    if not isinstance(domain, MicroDomain):
        raise UsageError(f"{name!r} is not a micro domain; it has no conventions to state.")
    return domain


class MicroTask(IndexedTask):
    """One micro domain under the convention that belongs to a seed."""

    def __init__(
        self, domain: MicroDomain, seed: int, setting: str, feedback: FeedbackLevel
    ) -> None:
        self._domain, self._seed, self._setting, self._feedback = domain, seed, setting, feedback
        self._level = domain.levels[setting]
        rng = hashed_rng(domain.name, "convention", seed)
        self._convention = domain.draw_convention(rng, self._level.meanings)

    @property
    def name(self) -> str:
        return self._domain.name

    def rules(self) -> list[str]:
        return [f"{key} {meaning}" for key, meaning in self._convention.items()]

    def verify(self, problem: Problem, response: str) -> Verdict:
        return verify(self._domain, problem, response, self._feedback)

    def problem(self, split: Split, index: int) -> Problem:
        rng = hashed_rng(self.name, self._setting, split, self._seed, index)
        side = self._side(split, index)
        while True:
            question = self._domain.draw(rng, self._level, self._convention)
            # About one text in two to five belongs to the split asked for.
            if split_of(question.text) == split and self._is_of(question, side):
                break
        solution = self._domain.solve(question, self._convention, Slip.never)
        uid = f"{self.name}/{split}/{index}/{content_hash(question.text)}"
        return Problem(uid, self.name, question.text, solution.answer, solution.text)

    def _side(self, split: Split, index: int) -> int:
        """Return the kind of the problem's answer: each once in a block, in an order of its own."""
        block, place = divmod(index, self._domain.sides)
        order = list(range(self._domain.sides))
        hashed_rng(self.name, self._setting, split, self._seed, "sides", block).shuffle(order)
        return order[place]

    def _is_of(self, question: Question, side: int) -> bool:
        return self._domain.side(question, self._convention) == side


def verify(domain: MicroDomain, problem: Problem, response: str, level: FeedbackLevel) -> Verdict:
    """Score 1 if the response ends in exactly the right answer, else 0, with feedback."""
    steps = _steps(response)
    subject = problem.prompt.partition(" ")[0]
    answer = steps[-1].removeprefix("answer ") if steps[-1].startswith("answer ") else None
    if answer == problem.answer:
        return Verdict(1.0, f"{subject} : correct", answer)
    if level == "none":
        return Verdict(0.0, f"{subject} : wrong", answer)
    if level == "answer":
        return Verdict(0.0, f"{subject} : wrong : answer is {problem.answer}", answer)
    return Verdict(0.0, f"{subject} : {_first_fault(domain, problem, steps)}", answer)


def _steps(response: str) -> list[str]:
    """Return the response as steps with single spaces; a text that is too long as an empty one."""
    text = response if len(response) <= _MAX_RESPONSE else ""
    return [_SPACES.sub(" ", step).strip() for step in text.strip(" \t\r\n;.").split(";")]


def _first_fault(domain: MicroDomain, problem: Problem, steps: Sequence[str]) -> str:
    """Return feedback that names the first segment to depart from the gold solution.

    What is the `same` under every convention is passed over: the work that follows it tells.
    """
    for number, gold in enumerate(_steps(problem.solution), start=1):
        step = steps[number - 1] if number <= len(steps) else ""
        given = step.split(" : ")
        for place, right in enumerate(gold.split(" : ")):
            got = given[place] if place < len(given) else ""
            if got != right and _bare(right) not in domain.same:
                return _fault(domain, number, right, got)
    return f"wrong : answer is {problem.answer}"


def _fault(domain: MicroDomain, number: int, right: str, got: str) -> str:
    rule, rival = _rule_in(domain, right), _rule_in(domain, got)
    if rule is None or (rival is not None and not _rivals(rule, rival)):
        return f"slip at step {number} : {right}"
    if rival is not None:
        return f"wrong at step {number} : {rule} , not {rival}"
    return f"wrong at step {number} : {rule}"


def _rivals(rule: str, other: str) -> bool:
    """Whether two rules give one key two meanings."""
    return rule.split(maxsplit=1)[0] == other.split(maxsplit=1)[0] and rule != other


def _rule_in(domain: MicroDomain, segment: str) -> str | None:
    """Return the rule that a segment quotes, without its step's index word, or None."""
    rule = _bare(segment)
    key, _, meaning = rule.partition(" ")
    return rule if meaning in domain.meanings.get(key, ()) else None


def _bare(segment: str) -> str:
    """Return a segment without its step's index word."""
    first, _, rest = segment.partition(" ")
    return rest if first in INDEX_WORDS else segment
