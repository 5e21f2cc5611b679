"""What a number measures, and the one way in which people read it.

    81.2 %    +13.3 points    0.026 nats    1.84×    17,181    3 min 12 s

Terminal, page, Markdown and the gate write numbers by their `Quantity` and in no other way. JSON
and CSV hold the raw value, and name its `unit` beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isnan

from cl_bench.metrics.stats.student import Estimate, Interval
from cl_bench.metrics.undefined import Undefined

NOTHING = "—"
"""Stands where a number would."""
LEVEL = 0.05
"""Of every test: below it an effect is significant."""


@dataclass(frozen=True)
class Quantity:
    """A unit: its name, its digits and its sign."""

    unit: str
    """Of raw values, as JSON and CSV name it."""
    mark: str
    """Stands behind a number, with the space before it, if any; empty where numbers need none."""
    heading: str
    """Names the unit above a column of numbers alone."""
    amount: Callable[[float], str]
    """How a number that is not negative is written, without the mark."""
    is_change: bool = False
    """Whether it is a difference by its nature, and so has a plus where it is positive."""

    @property
    def change(self) -> Quantity:
        """The quantity of a difference of two values; shares differ by points."""
        return POINTS if self.unit == SHARE.unit else replace(self, is_change=True)

    @property
    def distance(self) -> Quantity:
        """The quantity of such a difference's size, without a sign: a tolerance, a noise floor."""
        return replace(self.change, is_change=False)

    def number(self, value: float | Undefined) -> str:
        """A value without its unit. What rounds to zero has no sign, what is missing is a dash."""
        if isinstance(value, Undefined) or isnan(value):
            return NOTHING
        text = self.amount(abs(value))
        if text == self.amount(0.0):
            return text
        sign = "−" if value < 0 else "+" if self.is_change else ""
        return sign + text.replace("-", "−")  # in an exponent

    def text(self, value: float | Undefined) -> str:
        """A value with its unit."""
        shown = self.number(value)
        return shown if shown == NOTHING else shown + self.mark

    def interval(self, ends: Interval | Undefined) -> str:
        """`[79.0, 83.4]`, in the unit of the value beside it; empty where there is none."""
        if isinstance(ends, Undefined):
            return ""
        return f"[{self.number(ends.low)}, {self.number(ends.high)}]"

    def estimate(self, value: Estimate | Undefined) -> str:
        """A mean with its unit and, if it has one, its interval: `81.2 % [79.0, 83.4]`."""
        if isinstance(value, Undefined):
            return NOTHING
        return f"{self.text(value.value)} {self.interval(value.interval)}".rstrip()


def _hundredths(share: float) -> str:
    return f"{100 * share:.1f}"


def _whole(number: float) -> str:
    return f"{number:,.0f}"


def _tokens(count: float) -> str:
    """`415,509`, `2.74 M`."""
    return _whole(count) if count < 999_999.5 else f"{count / 1e6:,.2f} M"


def _duration(seconds: float) -> str:
    """`8.4 s`, `3 min 12 s`, `1 h 05 min`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, left = divmod(minutes, 60)
    return f"{hours} h {left:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _size(count: float) -> str:
    """`36.1 kB`, `93 MB`, `1.2 GB`, in powers of 1,000."""
    if count < 999_950:
        return f"{count / 1e3:.1f} kB"
    return f"{count / 1e6:.0f} MB" if count < 999.5e6 else f"{count / 1e9:.1f} GB"


SHARE = Quantity("share", " %", "%", _hundredths)
POINTS = Quantity("share", " points", "points", _hundredths, is_change=True)
"""Differences of shares, in hundredths."""
NATS = Quantity("nats/token", " nats", "nats/token", "{:.3f}".format)
RATIO = Quantity("ratio", "×", "×", "{:.2f}".format)
COUNT = Quantity("", "", "", _whole)
ROLLOUTS = Quantity("rollouts", "", "", _whole)
TOKENS = Quantity("tokens", "", "", _tokens)
SECONDS = Quantity("seconds", "", "", _duration)
BYTES = Quantity("bytes", "", "", _size)
NUMBER = Quantity("", "", "", "{:.4g}".format)
"""Of no unit, or of one that nobody named."""


def p_value(p: float | Undefined) -> str:
    """The p of a test in two digits, or that it is below a thousandth; none is rounded to the
    other side of `LEVEL`."""
    if isinstance(p, Undefined):
        return NOTHING
    two = f"{p:.2g}"
    shown = two if (float(two) < LEVEL) == (p < LEVEL) else f"{p:.3g}"
    return "< 0.001" if p < 0.001 else shown


def needed(seeds: int | Undefined) -> str:
    """How many seeds would decide: an estimate, so rounded up to two digits and cut at 1,000."""
    if isinstance(seeds, Undefined):
        return NOTHING
    unit = 10 ** max(0, len(str(seeds)) - 2)
    return "> 1,000" if seeds > 1_000 else f"{-(-seeds // unit) * unit:,}"


def percent(share: float) -> str:
    """A share that is set and not measured, such as the level of an interval: `95 %`."""
    return f"{100 * share:.4g} %"
