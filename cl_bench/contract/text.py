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


def printable(text: str, limit: int | None = None) -> str:
    """`text` as one harmless line: what a terminal would obey or hide is written as an escape.

    Control characters (hence every ANSI sequence), bidirectional overrides, line separators,
    invisible and unassigned characters and lone surrogates become `\\x1b` or `\\u202e`; all other
    Unicode stays. Of a text longer than `limit` characters, the first `limit - 1` and `…` are
    taken before anything is escaped.
    """
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + "…"
    return text if text.isprintable() else "".join(map(_harmless, text))


def one_line(text: str, limit: int | None = None) -> str:
    """`printable`, with every run of white space, line ends included, as one space."""
    return printable(" ".join(text.split()), limit)


def abbreviated(names: Iterable[str]) -> dict[str, str]:
    """Names of domains for tables and figures: `gym/gcd?max_value=20` as `gcd`, each a different
    text. What two of `names` would share is left out of neither; other names stay as they are."""
    given = list(dict.fromkeys(names))
    shown = {name: name for name in given}
    for shorten in (_without_source, _without_options):
        short = {name: shorten(shown[name]) for name in given}
        counts = Counter(short.values())
        shown = {name: short[name] if counts[short[name]] == 1 else shown[name] for name in given}
    return shown


def _without_source(name: str) -> str:
    source, slash, rest = name.partition("/")
    return rest if slash and source in ("gym", "file") else name


def _without_options(name: str) -> str:
    return name.partition("?")[0]


def well_formed(text: str) -> str:
    """`text` as UTF-8 can hold it: surrogate pairs are joined, lone surrogates become U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _harmless(character: str) -> str:
    kept = character.isprintable() or character in _JOINERS
    if kept or unicodedata.category(character) == "Zs":
        return character
    return character.encode("unicode_escape").decode("ascii")


def config_hash(mapping: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of a configuration as canonical JSON: the order of keys does not matter.

    Values that JSON cannot hold raise TypeError, NaN and infinity ValueError.
    """
    text = json.dumps(mapping, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
