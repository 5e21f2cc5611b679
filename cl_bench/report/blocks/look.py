"""How learners and domains look on every page and figure: name, colour, marker and dashes.

Colours are Okabe and Ito's, which colour-blind readers can tell apart; they are never the only
difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from zlib import crc32

from cl_bench.contract.errors import UsageError
from cl_bench.contract.registry import LEARNERS
from cl_bench.contract.text import printable

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555")
MARKERS = "osD^vPX*"
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


def learner_look(learner: str) -> Look:
    """The look of a learner, the same wherever it is drawn; one of its own for any other name."""
    return _BASE if learner == _BASE.label else _of_learner(learner)


def looks_apart(learners: Sequence[str]) -> list[Look]:
    """The looks of learners that stand together, no two alike: where the own look of one is taken,
    it has the next marker or dash that is free in its colour, then those of the other colours.

    A learner that comes again, with another setting, keeps its colour. Built-in ones keep their
    looks.
    """
    own = [learner_look(learner) for learner in learners]
    fixed = {learners.index(learner) for learner in learners if learner in LEARNERS.table}
    taken = {_drawn(own[place]) for place in fixed}
    found = []
    for place, look in enumerate(own):
        free = (one for one in _near(look) if _drawn(one) not in taken)
        found.append(look if place in fixed else next(free, look))
        taken.add(_drawn(found[-1]))
    return found


def _drawn(look: Look) -> tuple[int, str, bool]:
    """What is seen of a look."""
    return look.place, look.marker, look.dashed


def _near(look: Look) -> Iterator[Look]:
    """All looks with this label, the nearest first."""
    sizes = range(len(PALETTE)), (False, True), range(len(MARKERS))
    for colour, other, marker in product(*sizes):
        yield replace(
            look,
            place=(look.place + colour) % len(PALETTE),
            marker=MARKERS[(MARKERS.index(look.marker) + marker) % len(MARKERS)],
            dashed=look.dashed != other,
        )


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
