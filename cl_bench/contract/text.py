"""Texts made safe to print and to store, and the hash of a configuration."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

_JOINERS = "\u200c\u200d"
"""Invisible, but part of the spelling of several scripts and of emoji."""
_IN_WORDS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
_LIKE = str.maketrans(
    dict(zip("—–−─│·’×▼↑↓", "----|.'xv^v", strict=True))
    | {"‖": "||", "…": "...", "→": "->", "±": "+/-"}
)


def printable(text: str, limit: int | None = None) -> str:
    """Return `text` as one harmless line, with escapes for what a terminal would obey or hide.

    Control characters (hence every ANSI sequence), bidirectional overrides, line separators,
    invisible and unassigned characters and lone surrogates become `\\x1b` or `\\u202e`; all other
    Unicode stays. Of a text longer than `limit` characters, the first `limit - 1` and `…` are
    taken before anything is escaped.
    """
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + "…"
    return text if text.isprintable() else "".join(map(_harmless, text))


def one_line(text: str, limit: int | None = None) -> str:
    """Return `printable` text in which every run of white space has become one space."""
    return printable(" ".join(text.split()), limit)


def reason_of(error: Exception, limit: int) -> str:
    """Return an error of a library, by its kind and words, as a part of a sentence."""
    return one_line(f"{type(error).__name__}: {error}", limit).rstrip(".")


def plainer(text: str) -> str:
    """Return `text` in ASCII: each character by likeness where there is one, else escaped."""
    return text.translate(_LIKE).encode("ascii", "backslashreplace").decode("ascii")


def counted(number: int, thing: str) -> str:
    """Return `1 run`, `2 runs`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def in_words(number: int) -> str:
    """Return `no`, `one` and so on to `ten`; digits beyond."""
    return _IN_WORDS[number] if number < len(_IN_WORDS) else f"{number:,}"


def abbreviated(names: Iterable[str]) -> dict[str, str]:
    """Return names of domains for tables and figures: `gcd` for `gym/gcd?max_value=20`.

    Names that would become equal keep the parts that tell them apart; others stay as they are.
    """
    given = list(dict.fromkeys(names))
    shown = {name: name for name in given}
    for shorten in (_without_source, _without_options):
        short = {name: shorten(shown[name]) for name in given}
        counts = Counter(short.values())
        shown = {name: short[name] if counts[short[name]] == 1 else shown[name] for name in given}
    return shown


def _without_source(name: str) -> str:
    source, slash, rest = name.partition("/")
    return rest if slash and source in ("gym", "file", "hub", "verifiers") else name


def _without_options(name: str) -> str:
    return name.partition("?")[0]


def well_formed(text: str) -> str:
    """Return `text` as UTF-8 can hold it: surrogate pairs joined, lone ones as U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _harmless(character: str) -> str:
    kept = character.isprintable() or character in _JOINERS
    if kept or unicodedata.category(character) == "Zs":
        return character
    return character.encode("unicode_escape").decode("ascii")


def config_hash(mapping: Mapping[str, Any]) -> str:
    """Return the SHA-256 (hex) of a configuration, whatever the order of its keys.

    Raises `TypeError` for values that JSON cannot hold, `ValueError` for NaN and infinity.
    """
    text = json.dumps(mapping, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
