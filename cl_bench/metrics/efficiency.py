"""The samples that a learner needs, and its share of the best gain among those compared.

Every number of samples is either training samples (`samples_slow` in the tables, the paper's axis)
or all rollouts, those of the prompt optimiser included (`rollouts`). Report both, each by its name.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from cl_bench.metrics.arrays import ROUNDING, Array, growing, missing, paired, real_array
from cl_bench.metrics.quantities import SHARE
from cl_bench.metrics.undefined import Undefined


def samples_to_reach(acc_P: ArrayLike, samples_P: ArrayLike, level: float) -> float | Undefined:
    """Samples at the first evaluation whose running maximum of accuracy is at least `level`.

    Tiwari et al. 2026 (FST), claim 1. `acc_P` and `samples_P`, shape (P,), are validation
    accuracies and the samples spent by then; 0 samples is the base model. No interpolation: the
    result is one of `samples_P`. Undefined, with the best accuracy, if the level is never reached.
    """
    checked = _curve(acc_P=acc_P, samples_P=samples_P)
    if isinstance(checked, Undefined):
        return checked
    acc, samples = checked
    reached = acc >= level - ROUNDING
    if not reached.any():
        return Undefined(f"never reached {SHARE.text(level)}; the best is {SHARE.text(acc.max())}")
    return float(samples[reached.argmax()])


def sample_efficiency(
    acc_P: ArrayLike,
    samples_P: ArrayLike,
    reference_acc_Q: ArrayLike,
    reference_samples_Q: ArrayLike,
) -> float | Undefined:
    """Ratio of the samples needed for the reference's peak, reference / learner; above 1 is better.

    (samples at which the reference first reaches its peak) / (samples at which the learner first
    reaches that level). Tiwari et al. 2026 (FST), claim 1: 3.0 on CodeIO against RL. Undefined if
    the learner never gets there, or if no training was needed.
    """
    reference = _curve(reference_acc_Q=reference_acc_Q, reference_samples_Q=reference_samples_Q)
    if isinstance(reference, Undefined):
        return reference
    peak = float(reference[0].max())
    needed = samples_to_reach(acc_P, samples_P, peak)
    if isinstance(needed, Undefined):
        return needed
    by_reference = float(reference[1][reference[0].argmax()])
    if not by_reference or not needed:
        who = "learner" if by_reference else "reference"
        return Undefined(
            f"the {who} is at the reference's peak ({SHARE.text(peak)}) with 0 samples"
        )
    return by_reference / needed


def normalised_accuracy(
    acc_L_P: ArrayLike, base: float, in_stage_P: ArrayLike | None = None
) -> Array | Undefined:
    """Accuracy on one task as a share of the best gain any compared learner made in its stage.

    (acc − base) / (peak − base), shape (L, P): 0 is the base model, 1 the peak, negative below the
    base. Tiwari et al. 2026 (FST), claim 6. `acc_L_P` are the accuracies of all L learners at P
    points; `in_stage_P`, shape (P,), is True where a point belongs to the task's own stage, among
    which the peak is sought (all, if not given). The result depends on the compared set: compute
    it when reporting, never store it.
    """
    acc = real_array("acc_L_P", acc_L_P, "LP")
    inside = np.ones(acc.shape[1], bool) if in_stage_P is None else np.array(in_stage_P, bool)
    if inside.shape != acc.shape[1:]:
        raise ValueError(f"in_stage_P has the shape ({acc.shape[1]},); got {inside.shape}.")
    undefined = missing(acc_L_P=acc, base=real_array("base", base, ""))
    if undefined is not None:
        return undefined
    if not inside.any():
        return Undefined("no point lies in the task's own stage")
    peak = acc[:, inside].max()
    if peak <= base:
        return Undefined(f"no learner rose above the base ({SHARE.text(base)}) in the task's stage")
    normalised: Array = (acc - base) / (peak - base)
    return normalised


def _curve(**named: ArrayLike) -> tuple[Array, Array] | Undefined:
    """Return accuracies and samples, given in this order under the names that messages use."""
    arrays = paired(**named)
    if isinstance(arrays, Undefined):
        return arrays
    acc, samples = arrays
    growing([*named][1], samples)
    return acc, samples
