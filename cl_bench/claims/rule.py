"""How a statement is judged: by a rule that is fixed before the runs it judges.

A statement says that a value, one per seed, is greater than `null`, and which `margin` an effect
has to reach to be worth claiming (for "no worse than" both are the same negative number).

- **reproduced**: the 95 % interval of the mean, Student's t over seeds, lies above `null`, the
  exact sign-flip test over seeds against `null` has p < 0.05, the mean is at least `margin`, and
  every seed of the plan has a value;
- **not reproduced**: that interval lies below `margin`, and the exact sign-flip test against
  `margin` has p < 0.05: whatever effect there is, it is smaller than one worth claiming;
- **inconclusive**: everything else, and a value that is undefined.

That the interval lies above `null` is the same as a t test with p < 0.05; the exact test does not
ask for normal values. Both verdicts take at least six seeds, the fewest with which that test can
reach 0.05. Seeds that all have one value show no spread: there is no interval, and the exact test
decides alone. A run that failed or diverged leaves its seed without a value, so it can prevent
“reproduced” and never help it. Where only a fit over all seeds has a value, there is no test, and
with six seeds the interval (of the jackknife over seeds) decides.

A claim is reproduced when all of its primary statements are, not reproduced when one of them is
not, and inconclusive otherwise. Secondary statements are judged and shown, and decide nothing.

Every verdict is at 5 % by itself, and ten claims give chance ten tries at “reproduced”. Beside the
verdicts therefore stands Holm's p over all claims on the page: of a claim that is the largest p of
the t test among its primary statements, 1 where a mean is not above `null` or nothing was tested,
corrected for the number of claims. It changes no verdict.

Until 2026-11-30 intervals were percentile bootstraps over seeds, which with six seeds hold the
truth in about 85 % of cases; everything else about the rule is as it was registered. No verdict on
the committed runs changed with the interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np

from cl_bench.analysis.paired import PairedDifference
from cl_bench.metrics.comparison import holm
from cl_bench.metrics.quantities import p_value
from cl_bench.metrics.stats.student import NO_SPREAD, Estimate, Interval
from cl_bench.metrics.undefined import Undefined

LEAST_SEEDS = 6
LEVEL = 0.05


class ClaimVerdict(StrEnum):
    """The verdict of the runs on a statement or claim."""

    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not reproduced"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Statement:
    """One measurable part of a claim."""

    id: str
    """Number of the claim and a letter: `1a`."""
    text: str
    """The statement, and how the value of a seed is measured."""
    null: float
    """The null value, on the statement's scale: no effect, or how much worse is not yet worse."""
    margin: float
    """The least effect worth claiming."""
    scale: Literal["accuracy", "nats", "ratio"] = "accuracy"
    """Unit of the value. Ratios are compared and averaged as their logarithms to base 2, but
    `null` and `margin` are given as ratios."""
    primary: bool = True


@dataclass(frozen=True)
class Judgement:
    """A statement's verdict and the numbers it rests on; ratios as logarithms to base 2."""

    verdict: ClaimVerdict
    reason: str
    estimate: Estimate | Undefined
    student_p: float | Undefined
    """Two-sided, of the t test against `null`; undefined where only a fit over all seeds has a
    value."""
    exact_p: float | Undefined
    """Two-sided, of the exact sign-flip test against `null`."""
    seeds_needed: int | Undefined
    """Seeds that would decide an effect as large and as noisy as this one."""


def judge(
    statement: Statement,
    value_by_seed: Mapping[int, float | Undefined],
    estimate: Estimate | Undefined,
) -> Judgement:
    """Apply the rule to one value per seed and their mean with its interval.

    `value_by_seed` may be empty where only a fit over all seeds has a value; then there is no test,
    and the interval decides alone. Both are on the log2 scale for ratios.
    """
    null, margin = bounds(statement)
    above_null, above_margin = (
        PairedDifference.against(value_by_seed, bound) for bound in (null, margin)
    )
    p, p_margin = _p(above_null), _p(above_margin)
    verdict, reason = _verdict(estimate, (null, margin), (p, p_margin))
    student_p = above_null.student_p()
    return Judgement(verdict, reason, estimate, student_p, p, above_null.seeds_needed())


def bounds(statement: Statement) -> tuple[float, float]:
    """`null` and `margin` on the scale on which values are compared."""
    if statement.scale == "ratio":
        return float(np.log2(statement.null)), float(np.log2(statement.margin))
    return statement.null, statement.margin


def combine(verdicts: Sequence[ClaimVerdict]) -> ClaimVerdict:
    """The verdict of a claim from those of its primary statements."""
    if ClaimVerdict.NOT_REPRODUCED in verdicts:
        return ClaimVerdict.NOT_REPRODUCED
    if verdicts and all(verdict is ClaimVerdict.REPRODUCED for verdict in verdicts):
        return ClaimVerdict.REPRODUCED
    return ClaimVerdict.INCONCLUSIVE


def corrected_p(claims: Sequence[Sequence[tuple[Statement, Judgement]]]) -> list[float]:
    """Holm's p of every claim, given by its primary statements: see the rule."""
    return holm([max((_claimed_p(*one) for one in primary), default=1.0) for primary in claims])


def _claimed_p(statement: Statement, judgement: Judgement) -> float:
    null, _ = bounds(statement)
    estimate, p = judgement.estimate, judgement.student_p
    if isinstance(estimate, Undefined) or isinstance(p, Undefined) or estimate.value <= null:
        return 1.0
    return p


def _p(difference: PairedDifference) -> float | Undefined:
    test = difference.test()
    return test if isinstance(test, Undefined) else test.p


def _verdict(
    estimate: Estimate | Undefined,
    bounds: tuple[float, float],
    p_values: tuple[float | Undefined, float | Undefined],
) -> tuple[ClaimVerdict, str]:
    """The verdict and its reason; `bounds` and `p_values` are for `null` and `margin`."""
    if isinstance(estimate, Undefined):
        return ClaimVerdict.INCONCLUSIVE, estimate.reason
    (null, margin), (against_null, against_margin) = bounds, p_values
    what, interval = "the interval", estimate.interval
    if interval == NO_SPREAD and not isinstance(against_null, Undefined):
        what, interval = "the value of all seeds", Interval(estimate.value, estimate.value, 1.0)
    if isinstance(interval, Undefined):
        return ClaimVerdict.INCONCLUSIVE, interval.reason
    low, high = interval.low, interval.high
    if estimate.seeds < LEAST_SEEDS:
        said = f"{estimate.seeds} seeds; at least {LEAST_SEEDS} can decide"
        return ClaimVerdict.INCONCLUSIVE, said
    if high < margin and not _in_doubt(against_margin):
        smaller = "there is an effect, but it is smaller than the margin"
        below = f"{what} lies below the margin"
        return ClaimVerdict.NOT_REPRODUCED, smaller if low > null else below
    doubts = {
        f"{what} holds the null value": low <= null <= high,
        f"{what} lies below the null value, the test is in doubt": high < null,
        "an effect, but its mean is below the margin": estimate.value < margin,
        f"the exact test over seeds has p = {p_value(against_null)}": _in_doubt(against_null),
        f"{estimate.seeds} of {estimate.of_seeds} seeds have a value": (
            estimate.seeds < estimate.of_seeds
        ),
    }
    for reason, applies in doubts.items():
        if applies:
            return ClaimVerdict.INCONCLUSIVE, reason
    return ClaimVerdict.REPRODUCED, f"{what} lies above the null value"


def _in_doubt(p: float | Undefined) -> bool:
    """Whether a test was made and did not reach the level."""
    return not isinstance(p, Undefined) and p >= LEVEL
