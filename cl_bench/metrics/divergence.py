"""The divergence from its base model at which a learner reaches an accuracy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cl_bench.metrics.arrays import ROUNDING, Array, missing, paired, real_array
from cl_bench.metrics.quantities import SHARE
from cl_bench.metrics.undefined import Undefined

LEVELS = 10
"""Accuracy levels at which two trajectories are compared, unless others are given."""


@dataclass(frozen=True, eq=False)
class MatchedKl:
    """The divergence of a learner and of a reference at the same accuracies."""

    ratio: float
    """Sum over levels of the learner's KL over that of the reference's; below 1 is nearer."""
    level_L: Array
    """Accuracies, shape (L,)."""
    learner_kl_L: Array
    """KL of the learner when it first reached each level, in the unit given."""
    reference_kl_L: Array


def kl_at_matched_accuracy(
    acc_P: ArrayLike,
    kl_P: ArrayLike,
    reference_acc_Q: ArrayLike,
    reference_kl_Q: ArrayLike,
    level_L: ArrayLike | None = None,
) -> MatchedKl | Undefined:
    """KL to the base at common accuracies, as a ratio learner / reference; below 1 is nearer.

    Tiwari et al. 2026 (FST), claim 3. The arrays are trajectories in order of training, shapes
    (P,) and (Q,): accuracy, and KL(policy ‖ base) ≥ 0 of one direction and unit. A trajectory's KL
    at a level is where its running maximum of accuracy crosses it, interpolated linearly between
    the evaluations around. Unless `level_L` is given, the levels divide the range that both reach
    evenly, its lower end left out: there both are the base. Undefined if the ranges do not
    overlap, if a given level is outside, or if the reference has no divergence.
    """
    learner = _trajectory(acc_P=acc_P, kl_P=kl_P)
    if isinstance(learner, Undefined):
        return learner
    reference = _trajectory(reference_acc_Q=reference_acc_Q, reference_kl_Q=reference_kl_Q)
    if isinstance(reference, Undefined):
        return reference
    levels = _levels(learner[0], reference[0], level_L)
    if isinstance(levels, Undefined):
        return levels
    kl, reference_kl = _kl_at(levels, *learner), _kl_at(levels, *reference)
    if not reference_kl.sum():
        return Undefined("the reference has a KL of 0 at every common level")
    return MatchedKl(float(kl.sum() / reference_kl.sum()), levels, kl, reference_kl)


def _levels(acc_P: Array, reference_acc_Q: Array, level_L: ArrayLike | None) -> Array | Undefined:
    low = max(acc_P[0], reference_acc_Q[0])
    high = min(acc_P.max(), reference_acc_Q.max())
    if high <= low:
        return Undefined(
            f"no common accuracies: the learner goes from {SHARE.text(acc_P[0])} to "
            f"{SHARE.text(acc_P.max())}, the reference from {SHARE.text(reference_acc_Q[0])} to "
            f"{SHARE.text(reference_acc_Q.max())}"
        )
    if level_L is None:
        return np.linspace(low, high, LEVELS + 1)[1:]
    levels = real_array("level_L", level_L, "L")
    undefined = missing(level_L=levels)
    if undefined is not None:
        return undefined
    outside = levels[(levels < low) | (levels > high)]
    if len(outside):
        return Undefined(
            f"level {SHARE.text(outside[0])} is outside {SHARE.text(low)} to {SHARE.text(high)}, "
            "the common range"
        )
    return levels


def _kl_at(level_L: Array, acc_P: Array, kl_P: Array) -> Array:
    """Return the KL where the trajectory first reaches each level, linear between evaluations."""
    found = []
    for level in level_L:
        after = int((acc_P >= level - ROUNDING).argmax())
        if after == 0:
            found.append(kl_P[0])
            continue
        share = (level - acc_P[after - 1]) / (acc_P[after] - acc_P[after - 1])
        found.append(kl_P[after - 1] + share * (kl_P[after] - kl_P[after - 1]))
    return np.array(found)


def _trajectory(**named: ArrayLike) -> tuple[Array, Array] | Undefined:
    """Return accuracies and divergences, given in this order under the names that messages use."""
    arrays = paired(**named)
    if isinstance(arrays, Undefined):
        return arrays
    acc, kl = arrays
    if kl.min() < 0:
        raise ValueError(f"{[*named][1]} is a divergence and at least 0; got {kl.min():.10g}.")
    return acc, kl
