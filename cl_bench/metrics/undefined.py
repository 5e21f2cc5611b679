"""The value of a metric that cannot be computed: a reason instead of a number.

Not 0 and not NaN: both would travel silently into an average.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, NoReturn

_LAYOUT = re.compile(r"(?:(?P<fill>.)?(?P<align>[<>^=]))?[+\- ]?#?0?(?P<width>\d+)?")


@dataclass(frozen=True, slots=True)
class Undefined:
    """A metric without a value, and why: `Undefined("needs at least 2 stages, got 1")`.

    Two are equal when their reasons are. Arithmetic, ordering and truth raise a `TypeError` with
    the reason; ask `isinstance(value, Undefined)` first. `format` accepts what a float would, so
    that a table can print both.
    """

    reason: str

    def __str__(self) -> str:
        return f"undefined: {self.reason}"

    def __format__(self, spec: str) -> str:
        """Return the whole text without a format, else `undefined` at the format's width."""
        if not spec:
            return str(self)
        layout = _LAYOUT.match(spec)
        assert layout is not None  # every part of the pattern is optional
        align = (layout["align"] or ">").replace("=", ">")
        return format("undefined", f"{layout['fill'] or ' '}{align}{layout['width'] or ''}")

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
