"""The checks of whole trajectories: how far a candidate drifts from the reference on its way.

Two questions, as in a regression test against a recorded training run: the *mean drift*, over all
evaluation points, answered by the rule of the gate like any number; and the drift at *every point*
(a step, a domain and a prompt). There are many points, so a single one has to be far off: a point
is a regression if its mean difference is beyond the tolerance and the interval of that point,
whose level is spread over all points (Bonferroni), excludes 0; it is undecided if its mean
difference is beyond the tolerance and its interval is not so sure. Points within the tolerance
pass: that no point was seen beyond it does not prove that none is; the mean drift proves that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from cl_bench.analysis.paired import ItemNoise, PairedDifference, known
from cl_bench.analysis.pairs import EvaluationPoint, Pair
from cl_bench.analysis.run_values import Measured
from cl_bench.gate.cases import GateCase
from cl_bench.gate.outcome import INCONCLUSIVE, PASS, REGRESS, Check, Skipped
from cl_bench.gate.policy import OPTIONAL, TRAJECTORIES, GatePolicy, Tolerance, TrajectoryRule
from cl_bench.gate.rule import (
    SLACK,
    GateQuestion,
    answer,
    described,
    identical,
    judged,
    with_needed,
    without_interval,
)
from cl_bench.metrics.arrays import Array
from cl_bench.metrics.undefined import Undefined
from cl_bench.store.views import stream_rows

_ACCURACY = "accuracy"
_NAMED = 3
"""Missing points that are named one by one."""
_WORST_FIRST = (REGRESS, INCONCLUSIVE, PASS)


def drift_checks(
    case: GateCase, pairs: Sequence[Pair], policy: GatePolicy
) -> Iterator[Check | Skipped]:
    """For every trajectory of the policy: the mean drift and the drift at every point."""
    for quantity, rule in policy.trajectories.items():
        course = _Course(case, pairs, quantity, rule)
        yield from course.checks(policy.level)


class _Course:
    """One quantity of all seeds of a case, at the points that all of their runs have."""

    def __init__(
        self, case: GateCase, pairs: Sequence[Pair], quantity: str, rule: TrajectoryRule
    ) -> None:
        self._case, self._pairs, self._quantity, self._rule = case, pairs, quantity, rule
        ours = [_trajectory(pair.run, quantity) for pair in pairs]
        theirs = [_trajectory(pair.reference, quantity) for pair in pairs]
        found = set().union(*theirs) if rule.optional else set().union(*theirs, *ours)
        asked = sorted(found)
        self._points = [point for point in asked if all(point in run for run in [*ours, *theirs])]
        there = set(self._points)
        self._lost = [point for point in asked if point not in there]
        self._candidate_S_P = _at(ours, self._points)
        self._reference_S_P = _at(theirs, self._points)
        self._identical = all(pair.identical for pair in pairs)

    def checks(self, level: float) -> Iterator[Check | Skipped]:
        """Both questions; undecided where no point has a value in all runs."""
        case, name = self._case, f"{self._quantity}, every point"
        if self._points:
            yield self._unless_lost(self._mean(level))
            yield self._unless_lost(self._every_point(level))
        elif self._rule.optional and not self._lost:
            yield Skipped(case, name, "has no value in the reference")
        else:
            lost = f"no evaluation has a value of {self._quantity} in all runs"
            more = OPTIONAL.format("trajectory", self._quantity)
            lost = lost if self._lost else f"{lost}; {more}"
            yield Check(case, name, INCONCLUSIVE, lost)

    def _mean(self, level: float) -> Check:
        """The mean drift over all points."""
        differences = self._differences(list(range(len(self._points))))
        question = self._question("mean drift", self._rule.mean, differences, level)
        return (
            identical(question, differences) if self._identical else answer(question, differences)
        )

    def _every_point(self, level: float) -> Check:
        """The drift at the point that is worst beside its tolerance."""
        spread = 1 - (1 - level) / len(self._points)
        found = [self._point(place, spread) for place in range(len(self._points))]
        place = min(range(len(found)), key=lambda at: (_rank(found[at][0]), found[at][1]))
        worst, where = found[place][0], _named(self._points[place])
        beyond = sum(check.verdict != PASS for check, _ in found)
        if self._identical:
            said = f"identical at all {len(found)} points"
        elif beyond:
            said = f"{beyond} of {len(found)} points beyond the tolerance; worst: {where}"
        else:
            said = f"all {len(found)} points within the tolerance; nearest to it: {where}"
        return replace(worst, reason=f"{said}: {worst.reason}" if worst.reason else said)

    def _unless_lost(self, check: Check) -> Check:
        """The same, undecided if it would pass although points are missing."""
        if not self._lost or check.verdict == REGRESS:
            return check
        more = f" and {len(self._lost) - _NAMED} more" if len(self._lost) > _NAMED else ""
        lost = "; ".join(map(_named, self._lost[:_NAMED]))
        return replace(check, verdict=INCONCLUSIVE, reason=f"no value at {lost}{more}")

    def _point(self, place: int, level: float) -> tuple[Check, float]:
        """The check of one point, and how far it is from being beyond its tolerance."""
        differences = self._differences([place])
        question = self._question("every point", self._rule.point, differences, level)
        if self._identical:
            return replace(identical(question, differences), reason=""), 0.0
        check, interval = described(question, differences), differences.student(level)
        margin = check.worse + question.tolerance
        if margin >= -SLACK:
            return replace(check, verdict=PASS, interval=interval), margin
        if isinstance(interval, Undefined):
            return without_interval(check, interval, differences), margin
        verdict = judged(differences.mean, interval, question)
        check = replace(check, verdict=verdict, interval=interval)
        return with_needed(check, question, differences), margin

    def _question(
        self,
        name: str,
        tolerance: Tolerance,
        differences: PairedDifference,
        level: float,
    ) -> GateQuestion:
        quantity, _ = TRAJECTORIES[self._quantity]
        allowed = tolerance.at(float(np.mean(known(differences.reference))))
        title = f"{self._quantity}, {name}"
        return GateQuestion(self._case, title, quantity, self._rule.better, allowed, level)

    def _differences(self, places: list[int]) -> PairedDifference:
        """Of the mean over some points."""
        pairs = self._pairs
        candidate, reference = (
            dict(zip((p.seed for p in pairs), of[:, places].mean(axis=1).tolist(), strict=True))
            for of in (self._candidate_S_P, self._reference_S_P)
        )
        of_items = self._quantity == _ACCURACY
        noise = {pair.seed: self._noise(pair, places) for pair in pairs} if of_items else {}
        return PairedDifference(candidate, reference, noise)

    def _noise(self, pair: Pair, places: list[int]) -> ItemNoise | Undefined:
        items = pair.items
        if isinstance(items, Undefined):
            return items
        return items.of_points([self._points[place] for place in places])


def _trajectory(run: Measured, quantity: str) -> Mapping[EvaluationPoint, float]:
    """The values that are there and finite, by point."""
    rows = stream_rows(run.table("evaluations"))
    rows = rows[np.isfinite(rows[quantity])]
    columns = (rows[name].tolist() for name in ("step", "domain", "prompt", quantity))
    return {
        (step, domain, prompt): value for step, domain, prompt, value in zip(*columns, strict=True)
    }


def _at(runs: list[Mapping[EvaluationPoint, float]], points: list[EvaluationPoint]) -> Array:
    """The values of runs at points, shape (runs, points)."""
    return np.array([[run[point] for point in points] for run in runs], np.float64)


def _rank(check: Check) -> int:
    return _WORST_FIRST.index(check.verdict)


def _named(point: EvaluationPoint) -> str:
    step, domain, prompt = point
    return f"step {step}, {domain}, {prompt} prompt"
