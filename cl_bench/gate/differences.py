"""From the differences of single seeds to a check of their mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cl_bench.analysis.run_values import Better
from cl_bench.gate.items import Resampled
from cl_bench.gate.outcome import Check
from cl_bench.gate.pairs import Case
from cl_bench.gate.rule import (
    INCONCLUSIVE,
    PASS,
    REGRESS,
    SLACK,
    Verdict,
    decide,
    units_needed,
    worst,
)
from cl_bench.metrics.stats.bootstrap import Interval
from cl_bench.metrics.stats.student import student_interval, student_mean
from cl_bench.metrics.undefined import Undefined

SIGNS = {"higher": (1,), "lower": (-1,), "neither": (1, -1)}
"""By what is better: the signs under which a negative difference is a worse one."""
NO_ITEMS = Undefined("one seed says nothing of it: it has no values of single items")
_SAID = {PASS: "within the tolerance", REGRESS: "worse than the tolerance allows"}


@dataclass(frozen=True)
class Differences:
    """One quantity of all seeds that are compared."""

    candidate_S: Sequence[float]
    reference_S: Sequence[float]
    resampled_S: Sequence[Resampled | Undefined | None]
    """What the items of each seed say of its difference, None of a quantity that is not made of
    items; empty where nobody asks."""

    @property
    def mean(self) -> float:
        """Candidate − reference."""
        return float(np.mean(self.per_seed))

    @property
    def per_seed(self) -> list[float]:
        """Candidate − reference of every seed."""
        pairs = zip(self.candidate_S, self.reference_S, strict=True)
        return [ours - theirs for ours, theirs in pairs]

    def interval(self, level: float) -> Interval | Undefined:
        """Of the mean difference: over seeds by Student's t, over the items of a single seed.

        Over seeds it is never narrower than the noise of the items makes it, so that few seeds
        which agree by chance prove nothing: a quantity of items has none if one seed's items say
        nothing. Over items it speaks of these two checkpoints only.
        """
        if len(self.candidate_S) == 1:
            return _over_items(self.resampled_S[0], level)
        known = [seed for seed in self.resampled_S if seed is not None]
        lost = [seed for seed in known if isinstance(seed, Undefined)]
        if lost:
            return lost[0]
        errors = [seed.error for seed in known if isinstance(seed, Resampled)]
        least = float(np.sqrt(np.square(errors).sum())) / len(self.candidate_S)
        found = student_mean(self.per_seed, least_error=least, level=level)
        return found if isinstance(found, Undefined) else found.interval

    def units(self, interval: Interval) -> tuple[int, str, float]:
        """What the interval rests on: how many, of what, and the deviation of a single one."""
        only = self.resampled_S[0] if len(self.candidate_S) == 1 else None
        units, name = (
            (only.items, "items")
            if isinstance(only, Resampled)
            else (len(self.candidate_S), "seeds")
        )
        reach = student_interval(0.0, 1.0, units - 1, interval.level).high
        return units, name, (interval.high - interval.low) / 2 / reach * float(np.sqrt(units))


@dataclass(frozen=True)
class Question:
    """What is asked of a difference."""

    case: Case
    name: str
    unit: str
    better: Better
    tolerance: float
    level: float


def answer(question: Question, differences: Differences) -> Check:
    """The check of a difference by its interval."""
    check = described(question, differences)
    interval = differences.interval(question.level)
    if isinstance(interval, Undefined):
        return without_interval(check, interval, differences)
    verdict = judged(differences.mean, interval, question)
    check = replace(check, verdict=verdict, interval=interval)
    return with_needed(check, question, differences)


def without_interval(check: Check, interval: Undefined, differences: Differences) -> Check:
    """The check, undecided: more seeds help only where items are not what is missing."""
    if any(isinstance(seed, Undefined) for seed in differences.resampled_S):
        return replace(check, interval=interval, reason=interval.reason)
    said = f"{interval.reason}; at least 2 seeds are needed"
    return replace(check, interval=interval, reason=said, needed=2)


def every_seed(question: Question, differences: Differences) -> Check:
    """The check of a quantity without noise: every seed's difference itself decides."""
    worse = min(sign * d for sign in SIGNS[question.better] for d in differences.per_seed)
    verdict = PASS if worse >= -question.tolerance - SLACK else REGRESS
    interval = Undefined("the policy asks for none")
    check = described(question, differences)
    return replace(check, verdict=verdict, reason=_SAID[verdict], interval=interval)


def identical(question: Question, differences: Differences) -> Check:
    """The check of runs that did the same: nothing is uncertain about their difference."""
    same = "identical: all tables are equal, wall time apart"
    check = described(question, differences)
    return replace(check, verdict=PASS, reason=same, interval=Undefined("identical"))


def described(question: Question, differences: Differences) -> Check:
    """The numbers of a check, undecided yet."""
    mean = differences.mean
    return Check(
        question.case,
        question.name,
        INCONCLUSIVE,
        "",
        unit=question.unit,
        reference=float(np.mean(differences.reference_S)),
        candidate=float(np.mean(differences.candidate_S)),
        difference=mean,
        worse=min(sign * mean for sign in SIGNS[question.better]),
        tolerance=question.tolerance,
        better=question.better,
    )


def judged(difference: float, interval: Interval, question: Question) -> Verdict:
    """What `decide` says; where neither direction is better, the worse of both answers."""
    mirrored = Interval(-interval.high, -interval.low, interval.level)
    sides = {1: (difference, interval), -1: (-difference, mirrored)}
    signs = SIGNS[question.better]
    return worst([decide(*sides[sign], question.tolerance) for sign in signs])


def with_needed(check: Check, question: Question, differences: Differences) -> Check:
    """The check with its reason; if undecided, with how many seeds or items would decide."""
    if check.verdict != INCONCLUSIVE or isinstance(check.interval, Undefined):
        return replace(check, reason=_SAID.get(check.verdict, check.reason))
    there, unit, deviation = differences.units(check.interval)
    needed = units_needed(check.worse, deviation, question.tolerance, level=question.level)
    if isinstance(needed, Undefined):
        return replace(check, needed=needed, needed_unit=unit, reason=needed.reason)
    needed = max(needed, there + 1)  # what is there did not decide, however rough the estimate
    said = f"undecided with {there} {unit}: about {needed} are needed"
    return replace(check, needed=needed, needed_unit=unit, reason=said)


def _over_items(items: Resampled | Undefined | None, level: float) -> Interval | Undefined:
    if items is None:
        return NO_ITEMS
    if isinstance(items, Undefined):
        return items
    if items.items < 2:
        return Undefined("one item shows no spread")
    return student_interval(items.centre, items.error, items.items - 1, level)
