"""The three-valued rule of the gate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

import numpy as np

from cl_bench.analysis.paired import ItemNoise, PairedDifference, known
from cl_bench.analysis.run_values import Better
from cl_bench.gate.cases import GateCase
from cl_bench.gate.outcome import INCONCLUSIVE, PASS, REGRESS, Check, GateVerdict, worst
from cl_bench.metrics.comparison import sample_size
from cl_bench.metrics.quantities import Quantity
from cl_bench.metrics.stats.student import Interval, student_interval
from cl_bench.metrics.undefined import Undefined

SLACK = 1e-9
"""Sums of the same numbers in another order differ by less."""


def decide(difference: float, interval: Interval, tolerance: float) -> GateVerdict:
    """The verdict on a paired difference: positive is better, `tolerance` ≥ 0 is how much worse is
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


def units_needed(
    difference: float, deviation: float, tolerance: float, *, level: float, power: float = 0.8
) -> int | Undefined:
    """The number of units (seeds, items) that would decide, were the difference seen the truth.

    `deviation` is that of the differences of single units. Beyond the tolerance it is the number
    with which `interval.high` falls below 0, else that with which `interval.low` rises above
    −tolerance; with probability `power`, by `sample_size`. From few units it is rough.
    """
    away = difference if difference < -tolerance else difference + tolerance
    if abs(away) <= SLACK:
        return Undefined("the difference lies on the tolerance itself")
    effect = abs(away) / deviation if deviation > 0 else inf
    return sample_size(effect, power=power, level=1 - level)


SIGNS = {"higher": (1,), "lower": (-1,), "neither": (1, -1)}
"""By what is better: the signs under which a negative difference is a worse one."""
_SAID = {PASS: "within the tolerance", REGRESS: "worse than the tolerance allows"}


@dataclass(frozen=True)
class GateQuestion:
    """A difference that is judged, and the tolerance and level at which it is."""

    case: GateCase
    name: str
    quantity: Quantity
    better: Better
    tolerance: float
    level: float


def answer(question: GateQuestion, differences: PairedDifference) -> Check:
    """The check of a difference by its interval."""
    check = described(question, differences)
    interval = differences.student(question.level)
    if isinstance(interval, Undefined):
        return without_interval(check, interval, differences)
    verdict = judged(differences.mean, interval, question)
    check = replace(check, verdict=verdict, interval=interval)
    return with_needed(check, question, differences)


def without_interval(check: Check, interval: Undefined, differences: PairedDifference) -> Check:
    """The check, undecided: more seeds help only where items are not what is missing."""
    if any(isinstance(seed, Undefined) for seed in differences.noise.values()):
        return replace(check, interval=interval, reason=interval.reason)
    said = f"{interval.reason}; at least 2 seeds are needed"
    return replace(check, interval=interval, reason=said, needed=2)


def every_seed(question: GateQuestion, differences: PairedDifference) -> Check:
    """The check of a quantity without noise: every seed's difference itself decides."""
    worse = min(sign * d for sign in SIGNS[question.better] for d in differences.known)
    verdict = PASS if worse >= -question.tolerance - SLACK else REGRESS
    interval = Undefined("the policy asks for none")
    check = described(question, differences)
    return replace(check, verdict=verdict, reason=_SAID[verdict], interval=interval)


def identical(question: GateQuestion, differences: PairedDifference) -> Check:
    """The check of runs that did the same: nothing is uncertain about their difference."""
    same = "identical: all tables are equal, wall time apart"
    check = described(question, differences)
    return replace(check, verdict=PASS, reason=same, interval=Undefined("identical"))


def described(question: GateQuestion, differences: PairedDifference) -> Check:
    """The numbers of a check, undecided yet."""
    mean = differences.mean
    return Check(
        question.case,
        question.name,
        INCONCLUSIVE,
        "",
        quantity=question.quantity,
        reference=float(np.mean(known(differences.reference))),
        candidate=float(np.mean(known(differences.values))),
        difference=mean,
        worse=min(sign * mean for sign in SIGNS[question.better]),
        tolerance=question.tolerance,
        better=question.better,
    )


def judged(difference: float, interval: Interval, question: GateQuestion) -> GateVerdict:
    """The verdict of `decide`; where neither direction is better, the worse of both answers."""
    mirrored = Interval(-interval.high, -interval.low, interval.level)
    sides = {1: (difference, interval), -1: (-difference, mirrored)}
    signs = SIGNS[question.better]
    return worst([decide(*sides[sign], question.tolerance) for sign in signs])


def with_needed(check: Check, question: GateQuestion, differences: PairedDifference) -> Check:
    """The check with its reason; if undecided, with how many seeds or items would decide."""
    if check.verdict != INCONCLUSIVE or isinstance(check.interval, Undefined):
        return replace(check, reason=_SAID.get(check.verdict, check.reason))
    there, unit, deviation = _rests_on(differences, check.interval)
    needed = units_needed(check.worse, deviation, question.tolerance, level=question.level)
    if isinstance(needed, Undefined):
        return replace(check, needed=needed, needed_unit=unit, reason=needed.reason)
    needed = max(needed, there + 1)  # what is there did not decide, however rough the estimate
    said = f"undecided with {there} {unit}: about {needed} are needed"
    return replace(check, needed=needed, needed_unit=unit, reason=said)


def _rests_on(differences: PairedDifference, interval: Interval) -> tuple[int, str, float]:
    """The seeds or items that an interval rests on: how many, of which, with what deviation."""
    count, what = len(differences.values), "seeds"
    only = next(iter(differences.noise.values()), None)
    if count == 1 and isinstance(only, ItemNoise):
        count, what = only.items, "items"
    reach = student_interval(0.0, 1.0, count - 1, interval.level).high
    return count, what, (interval.high - interval.low) / 2 / reach * float(np.sqrt(count))
