"""How learners and domains look on every page and figure: name, colour, marker and dashes.

Colours are Okabe and Ito's, which colour-blind readers can tell apart; they are never the only
difference.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from zlib import crc32

from cl_bench.contract.errors import UsageError
from cl_bench.contract.registry import LEARNERS
from cl_bench.contract.text import printable

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555")
MARKERS = "osD^vPX"
"""Markers by their letters in matplotlib."""
_LONGEST = 60
"""Characters of a name; the rest is left out."""


@dataclass(frozen=True)
class Look:
    """How one line among several is told from the others."""

    label: str
    """A printable name."""
    place: int
    """Of its colour in `PALETTE`."""
    marker: str
    dashed: bool = False

    @property
    def colour(self) -> str:
        """The colour on white ground."""
        return PALETTE[self.place]


_BLUE, _VERMILION, _GREEN, _PURPLE, _ORANGE, _SKY, _GREY = range(len(PALETTE))
_BUILT_IN = (
    (_BLUE, "s", False),
    (_ORANGE, "^", False),
    (_GREEN, "o", False),
    (_PURPLE, "D", False),
    (_VERMILION, "s", True),
    (_VERMILION, "^", False),
    (_SKY, "v", False),
    (_SKY, "P", True),
    (_GREY, "s", True),
    (_GREEN, "P", True),
    (_PURPLE, "v", True),
)
"""Colour, marker and dashes of the built-in learners, in the order of the registry."""
_BASE = Look("base", _GREY, "X")


def named(name: str, limit: int = _LONGEST) -> str:
    """A name as pages and figures write it: printable, and of so many characters at most."""
    shown = printable(name, limit)
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"


def learner_label(learner: str) -> str:
    """Return the label of a learner's factory; its name if it has none or is not to be had here."""
    try:
        label = LEARNERS.load(learner).label
    except UsageError:  # not installed, or broken
        label = ""
    return named(label or learner)


def learner_look(learner: str, variant: int = 0) -> Look:
    """The look of a learner, the same wherever it is drawn; one of its own for any other name.

    `variant` counts the learner's settings where there are several: they share its colour.
    """
    look = _BASE if learner == _BASE.label else _of_learner(learner)
    if not variant:
        return look
    marker = MARKERS[(MARKERS.index(look.marker) + variant) % len(MARKERS)]
    return replace(look, marker=marker, dashed=look.dashed != bool(variant % 2))


def domain_look(domain: str, place: int) -> Look:
    """The look of the domain that comes at `place`, from 0, in its stream."""
    return Look(named(domain), place % len(PALETTE), MARKERS[place % len(MARKERS)])


def _of_learner(learner: str) -> Look:
    built_in = dict(zip(LEARNERS.table, _BUILT_IN, strict=False))
    label = learner_label(learner)
    if learner in built_in:
        return Look(label, *built_in[learner])
    number = crc32(learner.encode("utf-8", "surrogatepass"))
    colour, number = number % len(PALETTE), number // len(PALETTE)
    return Look(label, colour, MARKERS[number % len(MARKERS)], bool(number // 7 % 2))
