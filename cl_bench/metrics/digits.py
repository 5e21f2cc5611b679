"""How many digits of a mean its interval carries.

The rule is that of the Particle Data Group (Review of Particle Physics, Introduction, "Rounding"):
of the distance from the mean to an end of the interval two digits count if it begins with 100 to
354, else one, and mean and ends are rounded there: 79× [56, 111], not 78.88× [56.17, 110.78].
"""

from __future__ import annotations

from dataclasses import replace
from math import floor, inf, log10

from cl_bench.metrics.quantities import RATIO, Quantity
from cl_bench.metrics.stats.student import Estimate
from cl_bench.metrics.undefined import Undefined

_WIDE = 10
"""A ratio's interval that spans more than this factor has ends of different digits."""
_TWO_DIGITS = 355
"""Below this, in its first three digits, a distance has two that count."""


def carried(of: Quantity, estimate: Estimate, bound: float = 0.0, *, spare: int = 0) -> Quantity:
    """The quantity with the digits that an estimate's interval carries, and `spare` more.

    There are never more than the quantity has by itself, and all of those where there is no
    interval; numbers that have digits after the point are not rounded before it. The shorter
    distance counts. Of a ratio whose interval spans more than a factor of ten, and is even on a
    logarithmic scale, the smaller factor counts, for each number by itself. No end is rounded onto
    `bound`, the null value, nor to 0: digits are added until it stands apart, as
    whether it does is what is read.
    """
    ends = estimate.interval
    if isinstance(ends, Undefined):
        return of
    shown = of.amount(1 / 3).replace(",", "")
    finest, factor = len(shown.partition(".")[2]), float(of.amount(1.0).replace(",", ""))
    relative = of.unit == RATIO.unit and 0 < _WIDE * ends.low < ends.high
    if relative:
        reach = 1 - 1 / min(estimate.value / ends.low, ends.high / estimate.value)
    else:
        reach = factor * min(estimate.value - ends.low, ends.high - estimate.value)
    if not 0 < reach < inf:
        return of
    whole = finest > 0 and not relative

    def decimals(value: float, reach: float) -> int:
        places = min(_place(reach) + spare, finest)
        places = max(places, 0) if whole else places
        while places < finest and any(
            value != level and round(factor * value, places) == round(factor * level, places)
            for level in (0.0, bound)
        ):
            places += 1
        return places

    common = max(decimals(end, reach) for end in (ends.low, ends.high))

    def amount(value: float) -> str:
        places = decimals(value, reach * value) if relative and value > 0 else common
        return f"{round(factor * value, places):,.{max(places, 0)}f}"

    return replace(of, amount=amount)


def in_column(of: Quantity, estimate: Estimate) -> Quantity:
    """The quantity for numbers that stand in one column of a board: all have the same digits, but
    ratios, whose intervals may span decades, those that are `carried`."""
    return carried(of, estimate, 1.0) if of.unit == RATIO.unit else of


def _place(reach: float) -> int:
    """The digit after the point to which what reaches so far is rounded; negative before it."""
    leading = floor(log10(reach))
    first_three = round(reach / 10.0 ** (leading - 2))
    return -leading + (first_three < _TWO_DIGITS)
