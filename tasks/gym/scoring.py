"""Scores of extracted answers to data sets of reasoning-gym.

reasoning-gym's scorers give credit for an answer that merely contains the right one, and some give
full credit to answers that say nothing: any text for game_of_life_halting, `6*4*1*1` for every
puzzle24, `nan` for every complex number. Here an answer scores 1 if it is the right one as
`answers` compares them, or if it has the form that the table asks for and the scorer, or
the comparison that replaces it, gives it exactly 1; otherwise 0, or the partial credit if that was
asked for. No text is evaluated in this process.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from cl_bench.contract.answers import SAME, number

from ..expressions import numbers_in, value_of
from ..workers import StartError
from .table import Adapted

_LONGEST = 2_000
"""Characters of an answer from which on it scores 0, unless the right one is half as long."""
_NEAR = Fraction(1, 10_000)
_ITEM = re.compile(r"'?\"?([-+]?[0-9]{1,40}(?:\.[0-9]{1,40})?)\"?'?")


def spelled(answer: str, gold: str, entry: Adapted) -> str:
    """The right answer, if `answer` is the same; else `answer` as scorers read it."""
    if entry.kind != "text" and not entry.cased and SAME[entry.kind](answer, gold):
        return gold
    return answer.replace(",", "") if entry.kind == "number" else answer


def points(
    answer: str, gold: str, entry: Adapted, scorer: Callable[[str], float], *, partial: bool
) -> float:
    """From 0 to 1. `scorer` is asked about answers of the allowed form alone; it may raise.

    Raises `StartError` if the process that scores does not start.
    """
    if len(answer) > max(_LONGEST, 2 * len(gold)):
        return 0.0
    answer = spelled(answer, gold, entry)
    if answer == gold:
        return 1.0
    if entry.allowed and not re.fullmatch(entry.allowed, answer):
        return 0.0
    try:
        score = float(scorer(answer))
    except StartError:
        raise
    except Exception:  # noqa: BLE001 - foreign code, and hostile text
        return 0.0
    # Some scorers give more than 1 to a wrong answer.
    return score if score == 1 or (partial and 0 < score < 1) else 0.0


@dataclass(frozen=True, slots=True)
class Right:
    """The right answer and metadata of an item, for a comparison."""

    gold: str
    metadata: Mapping[str, Any]


def by_gold(answer: str, right: Right) -> float:
    """The right answer alone."""
    return float(answer == right.gold)


def by_lines(answer: str, right: Right) -> float:
    """The same lines, but for white space around and between words."""
    return float(_words(answer) == _words(right.gold))


def by_numbers(answer: str, right: Right) -> float:
    """A list of the same numbers in the same order."""
    found = _numbers(answer)
    return float(found is not None and found == _numbers(right.gold))


def by_list(answer: str, right: Right) -> float:
    """A list of the same words in the same order."""
    return float(_listed(answer) == _listed(right.gold))


def by_closeness(answer: str, right: Right) -> float:
    """A probability as near as reasoning-gym asks, and not 0 for a small one."""
    given, gold = number(answer), number(right.gold)
    if given is None or gold is None:
        return 0.0
    return float(abs(given - gold) <= min(_NEAR, abs(gold) / 100))


def by_queens(answer: str, right: Right) -> float:
    """One of the boards that complete the given one."""
    return float(answer in right.metadata["valid_answers"])


def by_expression(answer: str, right: Right) -> float:
    """An expression of exactly the given numbers that has exactly the value asked for."""
    wanted = Fraction(right.metadata.get("target", 24))
    return float(
        value_of(answer) == wanted and numbers_in(answer) == Counter(right.metadata["numbers"])
    )


JUDGES: Mapping[str, Callable[[str, Right], float]] = {
    "same": by_gold,
    "same text": by_lines,
    "list": by_list,
    "close": by_closeness,
    "numbers": by_numbers,
    "queens": by_queens,
    "expression": by_expression,
}
"""The comparisons that the column `judge` of the table names, each from an answer to a score."""


def _right_sum(right: Right) -> bool:
    # Without brackets, basic_arithmetic prints another divisor than it calculates with, and goes
    # from left to right whatever the operators.
    return value_of(right.metadata["expression"]) == number(right.gold)


SOUND: Mapping[str, Callable[[Right], bool]] = {"basic_arithmetic": _right_sum}
"""Data sets some of whose right answers are wrong, and how that is seen."""


def _listed(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]


def _words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def _numbers(text: str) -> list[Fraction | None] | None:
    """The numbers of a list, with or without quotes; None if it is not one."""
    items = text.strip().removeprefix("[").removesuffix("]").strip()
    found = [_ITEM.fullmatch(item.strip()) for item in items.split(",")] if items else []
    return [number(item[1]) if item else None for item in found] if all(found) else None
