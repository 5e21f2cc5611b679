"""How a response to a problem of a data set is judged.

exact      the same text, but for case, white space and quotes
number     the same number: 12, 12.0 and 24/2 are
choice     the same letter
math       the same formula, as math-verify finds (the extra `math`)
json       the same JSON value
countdown  a sum that comes to the right number from the given ones
regex      a pattern that is searched in the answer
python:    a function of the user's own (the module python)
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, Protocol

from cl_bench.contract.answers import CUT_OFF, Kind, extract, judge, number
from cl_bench.contract.errors import UsageError, unknown
from cl_bench.contract.task import FeedbackLevel, Verdict
from cl_bench.contract.text import one_line

from ..expressions import numbers_in, reaching, value_of
from ..workers import DeadError, StartError, Worker
from . import json_values
from .columns import DataItem

NAMES = (
    *("exact", "number", "choice", "math", "json", "countdown", "regex"),
    "python:module.function",
)
MOST_IN_PATTERN = 1_000
_MOST_IN_FORMULA = 1_000
_DEEPEST = 30
"""Brackets within brackets of a formula."""
MATH_VERSION = "3"
"""Of how formulas are compared here; changes whenever scores do."""
_CHOICE_VERSION = "2"
"""Of how choices are read, likewise."""
_SECONDS = 3.0
"""For one answer of a worker, so generous that a busy machine does not change a score."""
_PATTERNS = Worker("cl_bench.tasks.data.worker")
_FORMULAS = Worker("cl_bench.tasks.data.worker", "formulas")

_COUNTDOWN = re.compile(r"(-?[0-9]{1,12}) from ((?: ?[0-9]{1,12}){2,6})")
"""More numbers would take minutes to join."""
_LETTER = re.compile(r"\(?([A-Za-z])[).]?")
_DEFAULT_LETTER = re.compile(r"[A-J]")
_COSTLY = re.compile(
    r"(?:\^|\*\*)[\s{(]*-?[\w.]+[\s})]*(?:\^|\*\*)"  # a power of a power
    r"|(?:\^|\*\*)[\s{(]*-?[0-9]{4,}|[0-9]{4,}[\s})]*!"
    r"|[0-9][eE][-+]?[0-9]"  # math-verify takes 1e999 for 1
)
"""Formulas whose value has millions of digits, or that are misread."""


class Verifier(Protocol):
    """Judges the responses to the problems of a data set."""

    @property
    def name(self) -> str: ...

    @property
    def code(self) -> str:
        """What a data set's version has of its code; changes whenever scores do."""
        ...

    def answer(self, item: DataItem) -> str:
        """The right answer as tables show it; a `ValueError` that it "is no number" or the like."""
        ...

    def solution(self, item: DataItem) -> str:
        """A response that has to score 1."""
        ...

    def judge(self, item: DataItem, response: str, level: FeedbackLevel) -> Verdict:
        """The verdict on a response. Raises nothing, but for a function of the user's."""
        ...


@dataclass(frozen=True, slots=True)
class Compared:
    """The answer is looked for in the response and compared with the right one, by its kind."""

    name: str
    kind: Kind

    @property
    def code(self) -> str:
        return _CHOICE_VERSION if self.kind == "choice" else ""

    def answer(self, item: DataItem) -> str:
        if self.kind == "number" and number(item.answer) is None:
            raise ValueError("is no number")
        if self.kind != "choice":
            return item.answer
        letter = _LETTER.fullmatch(item.answer)
        if letter is None:
            raise ValueError("is no letter of a choice")
        return letter[1].upper()

    def solution(self, item: DataItem) -> str:
        answer = self.answer(item)
        return f"<answer>{answer}</answer>" if self.kind == "text" else f"answer: {answer}"

    def judge(self, item: DataItem, response: str, level: FeedbackLevel) -> Verdict:
        verdict = judge(
            response,
            self.answer(item),
            asked=item.prompt,
            kind=self.kind,
            level=level,
            score=self.scorer(item),
        )
        return as_taught(verdict, item, level)

    def scorer(self, item: DataItem) -> Callable[[str], float] | None:
        """Gives an answer its score; None compares it with the right one."""
        return None


@dataclass(frozen=True, slots=True)
class Formula(Compared):
    """The same formula as the right one, in a process that is killed when that takes too long.

    The right answer itself scores 1 even where math-verify cannot read it.
    """

    @property
    def code(self) -> str:
        return MATH_VERSION

    def scorer(self, item: DataItem) -> Callable[[str], float]:
        def score(text: str) -> float:
            if text == extract(self.solution(item), self.kind).text:
                return 1.0
            if len(text) > _MOST_IN_FORMULA or _COSTLY.search(text) or _depth(text) > _DEEPEST:
                return 0.0
            return float(_asked(_FORMULAS, formula=item.answer, text=text).get("score", 0.0))

        return score


@dataclass(frozen=True, slots=True)
class JsonValue(Compared):
    """The same JSON value as the right one, wherever in the response it stands."""

    def answer(self, item: DataItem) -> str:
        try:
            json_values.read(item.answer)
        except ValueError as error:
            raise ValueError(f"is no JSON ({error})") from error
        return item.answer

    def solution(self, item: DataItem) -> str:
        return f'{{"{json_values.KEY}": {self.answer(item)}}}'

    def judge(self, item: DataItem, response: str, level: FeedbackLevel) -> Verdict:
        found = json_values.answered(response)
        shown = "" if found is None else f"<answer>{found}</answer>"
        return Compared.judge(self, item, shown, level)

    def scorer(self, item: DataItem) -> Callable[[str], float]:
        right = json_values.read(item.answer)
        return lambda text: float(json_values.same(json_values.read(text), right))


@dataclass(frozen=True, slots=True)
class Countdown(Compared):
    """A sum of the given numbers, each at most once; a row's answer is `24 from 3 8 1`."""

    def answer(self, item: DataItem) -> str:
        target, numbers = _asked_for(item.answer)
        found = _reaching(target, numbers)
        if found is None:
            raise ValueError("cannot be reached from its numbers")
        return found

    def scorer(self, item: DataItem) -> Callable[[str], float]:
        target, numbers = _asked_for(item.answer)

        def score(text: str) -> float:
            text = text.partition("=")[0]
            right = value_of(text) == target and numbers_in(text) <= Counter(numbers)
            return float(right)

        return score


@lru_cache(maxsize=100_000)
def _reaching(target: int, numbers: tuple[int, ...]) -> str | None:
    return reaching(target, numbers)


def _asked_for(text: str) -> tuple[int, tuple[int, ...]]:
    """The target and the numbers; `ValueError` if the text does not give them."""
    match = _COUNTDOWN.fullmatch(text)
    if match is None:
        raise ValueError("is not written as in '24 from 3 8 1'")
    return int(match[1]), tuple(map(int, match[2].split()))


@dataclass(frozen=True, slots=True)
class Pattern(Compared):
    """A pattern that is searched in the answer; `{answer}` in it stands for the row's answer."""

    pattern: str = ""
    """Of all rows; empty: the answer of each row is its pattern."""

    def answer(self, item: DataItem) -> str:
        return item.answer if self.pattern else item.solution or item.answer

    def scorer(self, item: DataItem) -> Callable[[str], float]:
        pattern = self._of(item)
        return lambda text: float(_asked(_PATTERNS, pattern=pattern, text=text).get("score", 0.0))

    def fault(self, item: DataItem) -> str:
        """The reason why the pattern of a row cannot be used; empty if it can."""
        pattern = self._of(item)
        if len(pattern) > MOST_IN_PATTERN:
            return f"it has {len(pattern):,} characters, at most {MOST_IN_PATTERN:,} are taken"
        return str(_asked(_PATTERNS, pattern=pattern, text=self.answer(item)).get("fault", ""))

    def _of(self, item: DataItem) -> str:
        if not self.pattern:
            return item.answer
        return self.pattern.replace("{answer}", re.escape(item.answer))


def named(name: str, items: Sequence[DataItem], pattern: str) -> tuple[Verifier, str]:
    """The verifier called `name`, and why if the answers chose it; unknown ones are `UsageError`s.

    Those of `python:` are the caller's to make.
    """
    if pattern and name not in ("", "regex"):
        raise UsageError(f"pattern= goes with verifier=regex, but the verifier is {name!r}.")
    why = ""
    if not name:
        name, why = ("regex", "") if pattern else _default(items)
    texts = (item.solution or item.answer if name == "regex" else item.answer for item in items)
    kind: Kind = "text" if any("\n" in text for text in texts) else "line"
    if name == "math":
        _require_formulas()
    made: dict[str, Callable[[], Verifier]] = {
        "exact": lambda: Compared("exact", kind),
        "number": lambda: Compared("number", "number"),
        "choice": lambda: Compared("choice", "choice"),
        "math": lambda: Formula("math", kind),
        "json": lambda: JsonValue("json", "text"),
        "countdown": lambda: Countdown("countdown", "line"),
        "regex": lambda: Pattern("regex", kind, pattern),
    }
    if name not in made:
        raise unknown("verifier", name, NAMES)
    return made[name](), why


def _require_formulas() -> None:
    """`UsageError` unless formulas can be compared here."""
    says = "verifier=math compares formulas with math-verify"
    if find_spec("math_verify") is None:
        raise UsageError(f"{says}, which is not installed. Type: pip install 'cl-bench[math]'")
    try:
        works = _asked(_FORMULAS, formula="\\frac{1}{2}", text="0.5").get("score") == 1
    except StartError:
        works = False
    if not works:
        raise UsageError(
            f"{says}, which is installed and does not work. To see why, type: python -c "
            "'from math_verify import parse; print(parse(\"$1/2$\"))'. If it does not know the "
            "installed antlr4, type: pip install 'math-verify[antlr4_13_2]'"
        )


def _default(items: Sequence[DataItem]) -> tuple[str, str]:
    """The verifier that fits the answers, and in words why."""
    if all(number(item.answer) is not None for item in items):
        return "number", "all answers are numbers"
    if all(_DEFAULT_LETTER.fullmatch(item.answer) for item in items):
        return "choice", "all answers are letters from A to J"
    return "exact", "the answers are texts"


def scored(
    score: float, gold: str, level: FeedbackLevel, *, answer: str | None = None, said: str = ""
) -> Verdict:
    """Return the verdict of a verifier that gives a score and perhaps words, no kind of mistake.

    `said` is its feedback on a wrong response, at the levels that may say everything.
    """
    if score >= 1:
        return Verdict(1.0, "Correct.", answer)
    if level == "none":
        return Verdict(score, "Wrong.", answer)
    right = f"The right answer is {one_line(gold, 80)}."
    if level == "answer":
        return Verdict(score, f"Wrong. {right}", answer)
    part = f"It earns {score:.2g} of 1." if score > 0 else "Wrong."
    return Verdict(score, said or f"{part} {right}", answer, None, "wrong", CUT_OFF)


def as_taught(verdict: Verdict, item: DataItem, level: FeedbackLevel) -> Verdict:
    """The verdict with the teacher's words of the row, where there are any and all may be said."""
    if verdict.score >= 1 or not item.feedback or level not in ("step", "full"):
        return verdict
    return replace(verdict, feedback=item.feedback)


def _asked(worker: Worker, **question: str) -> dict[str, Any]:
    """The answer of a process of its own; a fault if it takes too long or dies of the question."""
    try:
        return worker.ask(question, _SECONDS)
    except DeadError:
        return {"fault": "it takes too long"}


def _depth(text: str) -> int:
    """How deep the brackets of a text go."""
    depth = deepest = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    return deepest
