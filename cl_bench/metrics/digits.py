"""How many digits of a mean its interval carries.

The rule is that of the Particle Data Group (Review of Particle Physics, Introduction, "Rounding"):
of the distance from the mean to an end of the interval two digits count if it begins with 100 to
354, else one, and mean and ends are rounded there: 79× [56, 111], not 78.88× [56.17, 110.78].
"""

from __future__ import annotations

from dataclasses import replace
from math import floor, inf, log10

from cl_bench.metrics.quantities import Quantity
from cl_bench.metrics.stats.student import Estimate
from cl_bench.metrics.undefined import Undefined

_TWO_DIGITS = 355
"""Below this, in its first three digits, a distance has two that count."""


def carried(of: Quantity, estimate: Estimate, bound: float = 0.0, *, spare: int = 0) -> Quantity:
    """The quantity with the digits that an estimate's interval carries, and `spare` more.

    There are never more than the quantity has by itself, and all of those where there is no
    interval. The shorter distance counts. No end is rounded onto `bound`, the value without an
    effect, nor to 0: digits are added until it stands apart, as whether it does is what is read.
    """
    ends = estimate.interval
    if isinstance(ends, Undefined):
        return of
    reach = min(estimate.value - ends.low, ends.high - estimate.value)
    shown = of.amount(1 / 3).replace(",", "")
    finest, factor = len(shown.partition(".")[2]), float(of.amount(1.0).replace(",", ""))
    if not 0 < reach < inf:
        return of
    decimals = min(_place(factor * reach) + spare, finest)
    apart = [(end, level) for end in (ends.low, ends.high) for level in (0.0, bound)]
    while decimals < finest and any(
        end != level and round(factor * end, decimals) == round(factor * level, decimals)
        for end, level in apart
    ):
        decimals += 1
    return replace(
        of, amount=lambda value: f"{round(factor * value, decimals):,.{max(decimals, 0)}f}"
    )


def _place(reach: float) -> int:
    """The digit after the point to which what reaches so far is rounded; negative before it."""
    leading = floor(log10(reach))
    first_three = round(reach / 10.0 ** (leading - 2))
    return -leading + (first_three < _TWO_DIGITS)
