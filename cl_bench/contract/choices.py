"""Finding the choice that an answer makes: one of some words, or a letter."""

from __future__ import annotations

import re
from functools import cache

_LETTER = re.compile(
    r"\(([A-Za-z])\)|(?<![A-Za-z0-9'’\x1b\[])([A-Z])(?![A-Za-z0-9'’])(?!(?<=[AI])[ \t]+[a-z])"
)
"""A letter in parentheses or a capital on its own, but not the words "a" and "I"."""
_BEGUN_LETTER = re.compile(
    r"([A-Za-z])(?![A-Za-z0-9'’])"
    r"(?!(?<=[AaIi])[ \t]+(?!(?:is|because|since|as|not|but|or|and)\b)[a-z])"
)
"""A letter that a form begins with, but not as the words "a" and "I"."""
_FIRST_LETTER = re.compile(
    r"[\s*_]*(?:\(([A-Za-z])\)|([A-Za-z])[*_]*[).:](?=[\s*_]|$)|([A-Z])(?= ?[(–-]))"
)
"""A letter that a line begins with, before the words of its choice: "(B) Paris", "b) Paris"."""
_SAID_LETTER = re.compile(
    r"\b(answer|choice|option)(?: is)?:? \(?([a-z])\)?(?![\w'’])(?![ \t]+[a-z])", re.IGNORECASE
)
_LED = re.compile(
    r"[\s*_]*(?:(?:the )?(?:\w+ )?(?:answer|choice|option)(?: is)?:? |it is )", re.IGNORECASE
)
"""Words before a choice: "the right choice is"."""
_AROUND = " \t\r\n.:;,)(\"'`“”‘’*_$"
"""What may stand around a choice."""
_BETWEEN = re.compile(r"\bor\b|\band\b|[\s,;/&|+]+", re.IGNORECASE)
"""What may stand between the choices of a list."""
_ELSE = re.compile(r"\W*\bor\b(?:\s+(?!not\b)\w+(?=\s))?", re.IGNORECASE)
"""Before another choice: "or", "or rather"."""


def formed(text: str, choices: tuple[str, ...]) -> list[str]:
    """Return the choice that the content of a form begins with, A in "A, because B is wrong".

    All are returned of one that begins with none, or is a list of them.
    """
    parts = [part for part in _BETWEEN.split(text) if part.strip(_AROUND)]
    listed = [choice for choice in (_alone(part, choices) for part in parts) if choice]
    if len(listed) == len(parts):
        return listed
    led = _LED.match(text)
    begun, rest = _begun(text[led.end() :] if led else text, choices)
    if not begun:
        return _every(text, choices)
    other = _ELSE.match(rest)
    also = _begun(rest[other.end() :], choices)[0] if other else ""
    return [begun, also] if also else [begun]


def last(text: str, choices: tuple[str, ...]) -> str | None:
    """Return the choice that a text without a form comes to."""
    alone = text.strip(_AROUND)
    if choices:
        found = _every(text, choices)
    elif len(alone) == 1 and alone.isascii() and alone.isalpha():
        found = [alone.upper()]
    else:
        found = _called(text) or _every(text, choices)
    return found[-1] if found else None


def _alone(text: str, choices: tuple[str, ...]) -> str:
    """Return the choice that is the whole of `text`, or an empty text."""
    begun, rest = _begun(text, choices)
    return "" if rest.strip(_AROUND) else begun


def _begun(text: str, choices: tuple[str, ...]) -> tuple[str, str]:
    """Return the choice that `text` begins with, and what follows it; empty if there is none."""
    text = text.lstrip(_AROUND)
    match = (_word(choices) if choices else _BEGUN_LETTER).match(text)
    return (_spelled(match[1], choices), text[match.end() :]) if match else ("", text)


def _every(text: str, choices: tuple[str, ...]) -> list[str]:
    """Return all choices that stand in `text`."""
    if choices:
        return [_spelled(word, choices) for word in _word(choices).findall(text)]
    said = [letter for _, letter in _SAID_LETTER.findall(text)]
    return [letter.upper() for letter in (*said, *map("".join, _LETTER.findall(text)))]


def _called(text: str) -> list[str]:
    """Return the letters that a text gives as its choice, the surest last."""
    *_, line = text.strip().splitlines() or [""]
    said = _SAID_LETTER.findall(text)
    begun = _FIRST_LETTER.match(line)
    found = [
        *(letter for _, letter in said),
        *(filter(None, begun.groups()) if begun else ()),
        *(letter for name, letter in said if name.casefold() == "answer"),
    ]
    return [letter.upper() for letter in found]


def _spelled(choice: str, choices: tuple[str, ...]) -> str:
    """Return a word as `choices` has it, a letter as a capital."""
    folded = {each.casefold(): each for each in choices}
    return folded[choice.casefold()] if choices else choice.upper()


@cache
def _word(choices: tuple[str, ...]) -> re.Pattern[str]:
    either = "|".join(re.escape(choice) for choice in sorted(choices, key=len, reverse=True))
    return re.compile(rf"(?<!\w)({either})(?!\w)", re.IGNORECASE)
