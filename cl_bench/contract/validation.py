"""Checks of numbers, texts and flags: types, ranges, plain Python values."""

from __future__ import annotations

import os
from numbers import Integral, Real
from typing import cast

from cl_bench.contract.errors import UsageError
from cl_bench.contract.text import printable

SEEDS = (0, 2**63 - 1)
"""Seeds that every random generator in use accepts."""
COUNTS = (1, 1_000_000)
"""A greater count is taken for a typing error: it would fill the memory before anything ran."""
RATES = (1e-30, 1e30)
"""Positive numbers that single precision can hold."""
TEMPERATURES = (0.01, 100.0)
"""Below, dividing the logits overflows or is greedy; above, sampling is uniform."""

Bounds = tuple[float, float]


def whole_number(name: str, given: object, bounds: tuple[int, int]) -> int:
    """Return `given` as an `int`; raise `UsageError` unless it is whole and within `bounds`."""
    if isinstance(given, bool) or not isinstance(given, Integral):
        raise _refused(name, repr(given), f"a whole number, {least_and_most(bounds, whole=True)}")
    number = int(given)
    if not bounds[0] <= number <= bounds[1]:
        raise _refused(name, str(given), least_and_most(bounds, whole=True))
    return number


def real_number(name: str, given: object, bounds: Bounds) -> float:
    """Return `given` as a `float`; raise `UsageError` unless it is a number within `bounds`."""
    allowed = least_and_most(bounds)
    if isinstance(given, bool) or not isinstance(given, Real):
        raise _refused(name, repr(given), f"a number, {allowed}")
    if not bounds[0] <= cast(float, given) <= bounds[1]:  # NaN is neither
        raise _refused(name, str(given), allowed)
    return float(given)


def a_text(name: str, given: object) -> str:
    """Return a text or a path as a `str`; raise `UsageError` for anything else or an empty text."""
    text = os.fspath(given) if isinstance(given, str | os.PathLike) else None
    if not isinstance(text, str) or not text or "\0" in text:
        raise _refused(name, repr(given), "a text of at least one character, without NUL")
    return text


def a_pair(name: str, given: object) -> tuple[str, str]:
    """Return two texts; raise `UsageError` for anything else."""
    if not isinstance(given, list | tuple) or len(given) != 2:
        raise _refused(name, repr(given), "two names, such as ('rl', 'fst')")
    return a_text(name, given[0]), a_text(name, given[1])


def a_flag(name: str, given: object) -> bool:
    """Return `given` if it is a `bool`, else raise `UsageError`."""
    if not isinstance(given, bool):
        raise _refused(name, repr(given), "True or False")
    return given


def least_and_most(bounds: Bounds, *, whole: bool = False) -> str:
    """Return bounds in words."""
    if whole:
        return f"at least {bounds[0]:,} and at most {bounds[1]:,}"
    # Nobody types 1e-30: to a user the least rate is "above 0".
    least = "above 0" if bounds[0] == RATES[0] else f"at least {bounds[0]:g}"
    return f"{least} and at most {bounds[1]:g}"


def _refused(name: str, given: str, allowed: str) -> UsageError:
    return UsageError(f"{name} is {printable(given, 100)}, but must be {allowed}.")
