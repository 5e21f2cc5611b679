"""The three-valued rule of the gate."""

from __future__ import annotations

from math import inf
from typing import Literal

from cl_bench.metrics.comparison import sample_size
from cl_bench.metrics.stats.bootstrap import Interval
from cl_bench.metrics.undefined import Undefined

GateVerdict = Literal["pass", "regress", "inconclusive"]
PASS: GateVerdict = "pass"
REGRESS: GateVerdict = "regress"
INCONCLUSIVE: GateVerdict = "inconclusive"

SLACK = 1e-9
"""Sums of the same numbers in another order differ by less."""


def decide(difference: float, interval: Interval, tolerance: float) -> GateVerdict:
    """What a paired difference shows: positive is better, `tolerance` ≥ 0 is how much worse is
    allowed.

        pass          difference ≥ −tolerance and interval.low ≥ −tolerance
        regress       difference < −tolerance and interval.high < 0
        inconclusive  neither

    A pass is a claim, not the absence of a finding: non-inferiority by the margin `tolerance`, as
    in trials of treatments. A candidate that is worse than the margin passes with probability
    (1 − level) / 2 at most. A regression claims two things: that the candidate is worse at all
    (the interval excludes 0) and that the best estimate of how much is more than was allowed. A
    candidate that is no worse than the reference is called a regression with probability
    (1 − level) / 2 at most, and less the larger the tolerance. To ask for the whole interval below
    −tolerance would let a drop of twice the tolerance through as inconclusive until its interval
    is half as wide; the price of not asking it is that a candidate that is worse, by less than the
    tolerance, may be called a regression instead of inconclusive. Both claims cannot hold at once,
    and more data only ever moves `inconclusive` to one of them. The simulations of
    tests/gate/test_rule.py show these rates.
    """
    if min(difference, interval.low) >= -tolerance - SLACK:
        return PASS
    if difference < -tolerance - SLACK and interval.high < 0:
        return REGRESS
    return INCONCLUSIVE


def worst(verdicts: list[GateVerdict]) -> GateVerdict:
    """One regression is a regression; without one, one that is not decided leaves all undecided."""
    for verdict in (REGRESS, INCONCLUSIVE):
        if verdict in verdicts:
            return verdict
    return PASS


def units_needed(
    difference: float, deviation: float, tolerance: float, *, level: float, power: float = 0.8
) -> int | Undefined:
    """How many units (seeds, items) would decide, were the truth the difference that was seen.

    `deviation` is that of the differences of single units. Beyond the tolerance it is the number
    with which `interval.high` falls below 0, else that with which `interval.low` rises above
    −tolerance; with probability `power`, by `sample_size`. From few units it is rough.
    """
    away = difference if difference < -tolerance else difference + tolerance
    if abs(away) <= SLACK:
        return Undefined("the difference lies on the tolerance itself")
    effect = abs(away) / deviation if deviation > 0 else inf
    return sample_size(effect, power=power, level=1 - level)
