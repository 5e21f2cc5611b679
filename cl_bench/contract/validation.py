"""Checks of the numbers, names and flags in a configuration: types, ranges, plain Python values."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import cast

from cl_bench.contract.errors import UsageError
from cl_bench.contract.text import printable

SEEDS = (0, 2**63 - 1)
"""What every random generator in use accepts."""
COUNTS = (1, 1_000_000)
"""A count beyond this is a slip of the hand: it would fill the memory before anything ran."""
RATES = (1e-30, 1e30)
"""Positive numbers that single precision can hold."""
TEMPERATURES = (0.01, 100.0)
"""Below, dividing the logits overflows or is greedy; above, sampling is uniform."""

Bounds = tuple[float, float]


def settle(
    config: object,
    *,
    whole: Mapping[str, tuple[int, int]] | None = None,
    real: Mapping[str, Bounds] | None = None,
    texts: Sequence[str] = (),
    flags: Sequence[str] = (),
) -> None:
    """Check the named fields of a frozen dataclass; the first wrong one is a `UsageError`.

    `whole` and `real` give the least and the greatest value. Numbers of other libraries become
    `int` and `float`, paths in `texts` become `str`, so that the configuration is plain data.
    """
    values = vars(config)
    checked: dict[str, object] = {}
    for name, bounds in (whole or {}).items():
        checked[name] = whole_number(name, values[name], bounds)
    for name, limits in (real or {}).items():
        checked[name] = real_number(name, values[name], limits)
    for name in texts:
        checked[name] = a_text(name, values[name])
    for name in flags:
        checked[name] = _flag(name, values[name])
    for name, value in checked.items():
        object.__setattr__(config, name, value)


def whole_number(name: str, given: object, bounds: tuple[int, int]) -> int:
    """`given` as an `int`; anything but a whole number within `bounds` is a `UsageError`."""
    if isinstance(given, bool) or not isinstance(given, Integral):
        raise _refused(name, repr(given), f"a whole number, {_between(*bounds)}")
    number = int(given)
    if not bounds[0] <= number <= bounds[1]:
        raise _refused(name, str(given), _between(*bounds))
    return number


def real_number(name: str, given: object, bounds: Bounds) -> float:
    """`given` as a `float`; anything but a finite number within `bounds` is a `UsageError`."""
    # Nobody types 1e-30: to a user the least rate is "above 0".
    least = "above 0" if bounds[0] == RATES[0] else f"at least {bounds[0]:g}"
    allowed = f"{least} and at most {bounds[1]:g}"
    if isinstance(given, bool) or not isinstance(given, Real):
        raise _refused(name, repr(given), f"a number, {allowed}")
    if not bounds[0] <= cast(float, given) <= bounds[1]:  # NaN is neither
        raise _refused(name, str(given), allowed)
    return float(given)


def a_text(name: str, given: object) -> str:
    """`given` as a `str`, of a path too; anything else, or nothing, is a `UsageError`."""
    text = os.fspath(given) if isinstance(given, str | os.PathLike) else None
    if not isinstance(text, str) or not text or "\0" in text:
        raise _refused(name, repr(given), "a text of at least one character, without NUL")
    return text


def _flag(name: str, given: object) -> bool:
    if not isinstance(given, bool):
        raise _refused(name, repr(given), "True or False")
    return given


def _between(least: int, most: int) -> str:
    return f"at least {least:,} and at most {most:,}"


def _refused(name: str, given: str, allowed: str) -> UsageError:
    return UsageError(f"{name} is {printable(given, 100)}, but must be {allowed}.")
