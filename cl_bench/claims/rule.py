"""How a statement is judged: by a rule that is fixed before the runs it judges.

A statement says that a value, one per seed, is greater than `null`, and which `margin` an effect
has to reach to be worth claiming (for "no worse than" both are the same negative number).

- **reproduced**: the 95 % interval lies above `null`, the mean is at least `margin`, and the exact
  sign-flip test over seeds against `null` has p < 0.05, which takes at least six seeds;
- **not reproduced**: the 95 % interval lies below `margin`, with at least five seeds;
- **inconclusive**: everything else, and a value that is undefined.

A claim is reproduced when all of its primary statements are, not reproduced when one of them is
not, and inconclusive otherwise. Secondary statements are judged and shown, and decide nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np

from cl_bench.metrics import permutation_test, seeds_needed
from cl_bench.metrics.bootstrap import Estimate
from cl_bench.metrics.undefined import Undefined

LEAST_SEEDS = 5
LEVEL = 0.05


class Verdict(StrEnum):
    """What the runs say of a statement or claim."""

    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not reproduced"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Statement:
    """One measurable part of a claim."""

    id: str
    """Number of the claim and a letter: `1a`."""
    text: str
    """What is stated, and how the value of a seed is measured."""
    null: float
    """The value without an effect, on the statement's scale."""
    margin: float
    """The least effect worth claiming."""
    scale: Literal["accuracy", "nats", "ratio"] = "accuracy"
    """Unit of the value. Ratios are compared and averaged as their logarithms to base 2, but
    `null` and `margin` are given as ratios."""
    primary: bool = True


@dataclass(frozen=True)
class Judgement:
    """A statement's verdict and the numbers it rests on; ratios as logarithms to base 2."""

    verdict: Verdict
    reason: str
    estimate: Estimate | Undefined
    p: float | Undefined
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
    values = [value for value in value_by_seed.values() if not isinstance(value, Undefined)]
    beyond = np.array(values) - null
    test = (
        permutation_test(beyond, np.zeros(len(beyond))) if values else Undefined("no seed values")
    )
    p = test if isinstance(test, Undefined) else test.p
    needed = seeds_needed(beyond) if values else Undefined("no seed values")
    verdict, reason = _verdict(estimate, null, margin, p)
    return Judgement(verdict, reason, estimate, p, needed)


def bounds(statement: Statement) -> tuple[float, float]:
    """`null` and `margin` on the scale on which values are compared."""
    if statement.scale == "ratio":
        return float(np.log2(statement.null)), float(np.log2(statement.margin))
    return statement.null, statement.margin


def combine(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict of a claim from those of its primary statements."""
    if Verdict.NOT_REPRODUCED in verdicts:
        return Verdict.NOT_REPRODUCED
    if verdicts and all(verdict is Verdict.REPRODUCED for verdict in verdicts):
        return Verdict.REPRODUCED
    return Verdict.INCONCLUSIVE


def _verdict(
    estimate: Estimate | Undefined, null: float, margin: float, p: float | Undefined
) -> tuple[Verdict, str]:
    if isinstance(estimate, Undefined):
        return Verdict.INCONCLUSIVE, estimate.reason
    interval = estimate.interval
    if isinstance(interval, Undefined):
        return Verdict.INCONCLUSIVE, interval.reason
    if estimate.seeds < LEAST_SEEDS:
        return Verdict.INCONCLUSIVE, f"{estimate.seeds} seeds; at least {LEAST_SEEDS} can decide"
    if interval.high < margin:
        return Verdict.NOT_REPRODUCED, "the interval lies below the margin"
    doubts = {
        "the interval holds the value without an effect": interval.low <= null,
        "an effect, but its mean is below the margin": estimate.value < margin,
        f"the exact test over seeds has p = {p:.2g}": not isinstance(p, Undefined) and p >= LEVEL,
    }
    for reason, applies in doubts.items():
        if applies:
            return Verdict.INCONCLUSIVE, reason
    return Verdict.REPRODUCED, "the interval lies above the value without an effect"
