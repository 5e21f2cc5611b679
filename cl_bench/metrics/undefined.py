"""The value of a metric that cannot be computed: a reason instead of a number.

Not 0 and not NaN: both would travel silently into an average.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, NoReturn


@dataclass(frozen=True, slots=True)
class Undefined:
    """A metric without a value, and why: `Undefined("needs at least 2 stages, got 1")`.

    Two are equal when their reasons are. Arithmetic, ordering and truth raise a `TypeError` with
    the reason; ask `isinstance(value, Undefined)` first. `cl_bench.metrics.quantities` writes both.
    """

    reason: str

    def __str__(self) -> str:
        return f"undefined: {self.reason}"

    # A type checker refuses arithmetic by itself, if it does not see these; at run time they tell
    # the reason.
    if not TYPE_CHECKING:
        __array_ufunc__ = None

        def _refuse(self, *_: object) -> NoReturn:
            raise TypeError(
                f"This metric is undefined ({self.reason}) and cannot be computed with. "
                "Ask `isinstance(value, Undefined)` before using it as a number."
            )

        __bool__ = __float__ = __int__ = __round__ = _refuse
        __lt__ = __le__ = __gt__ = __ge__ = _refuse
        __neg__ = __pos__ = __abs__ = _refuse
        __add__ = __radd__ = __sub__ = __rsub__ = _refuse
        __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refuse
        __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = _refuse


def finite(value: float | Undefined) -> float | Undefined:
    """Return `value`, or `Undefined` if it is infinite or NaN: that would spoil a mean of seeds."""
    if isinstance(value, Undefined) or isfinite(value):
        return value
    return Undefined("it is not a finite number")


def mean_of(values: Iterable[float | Undefined]) -> float | Undefined:
    """The mean of at least one value; undefined with the first reason where one has none."""
    found = []
    for value in values:
        if isinstance(value, Undefined):
            return value
        found.append(value)
    return sum(found) / len(found)
