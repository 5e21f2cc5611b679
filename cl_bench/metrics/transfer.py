"""Learning a task in a stream against learning it alone, at the same budget."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from cl_bench.metrics.arrays import (
    Array,
    accuracy_matrix,
    growing,
    missing,
    missing_cells,
    real_array,
    same_shape,
    shares,
)
from cl_bench.metrics.undefined import Undefined


def intransigence(acc_I_J: ArrayLike, single_J: ArrayLike) -> float | Undefined:
    """Inability to learn a task in the stream; negative means that earlier stages helped.

    1/T Σ_k (a*_k − R[k, k]). Chaudhry et al. 2018, definition 2, averaged over tasks. `single_J`,
    shape (T,), holds a*_k: accuracy on task k after training on it alone (or jointly on all tasks
    up to k, Chaudhry's own reference) from the base model at the same budget. Name which in a
    report. In the unit of the accuracies.
    """
    matrix = accuracy_matrix(acc_I_J)
    single = real_array("single_J", single_J, "T")
    same_shape(last_row_of_acc_I_J=matrix[-1], single_J=single)
    tasks = np.arange(matrix.shape[1])
    needed = np.zeros(matrix.shape, dtype=bool)
    needed[tasks + 1, tasks] = True
    undefined = missing_cells(matrix, needed)
    if undefined is None:
        undefined = missing(single_J=single)
    if undefined is not None:
        return undefined
    return float((single - matrix[tasks + 1, tasks]).mean())


def forward_transfer_auc(
    curve_J_P: ArrayLike, single_J_P: ArrayLike, samples_P: ArrayLike
) -> float | Undefined:
    """Forward transfer as area gained under the learning curve; positive means learning faster.

    1/T Σ_j (AUC_j − AUC_j^single) / (1 − AUC_j^single). Wołczyk et al. 2021 (Continual World).
    AUC is the trapezoidal mean accuracy over the stage, accuracies being shares from 0 to 1.
    `curve_J_P`, shape (T, P), is each task's accuracy within its own stage, `single_J_P` the same
    when it is trained alone from the base model, both at the same `samples_P`, shape (P,), counted
    from the start of the stage. Undefined where a task alone has an area of 1.
    """
    curve = real_array("curve_J_P", curve_J_P, "TP")
    single = real_array("single_J_P", single_J_P, "TP")
    samples = real_array("samples_P", samples_P, "P")
    same_shape(curve_J_P=curve, single_J_P=single)
    same_shape(points_of_curve_J_P=curve[:1].ravel(), samples_P=samples)
    growing("samples_P", samples)
    undefined = missing(curve_J_P=curve, single_J_P=single, samples_P=samples)
    if undefined is not None:
        return undefined
    shares("curve_J_P", curve)
    shares("single_J_P", single)
    if len(samples) < 2:
        return Undefined("an area needs at least 2 points, got 1")
    area, alone = _area(curve, samples), _area(single, samples)
    full = np.flatnonzero(alone >= 1 - 1e-12)
    if len(full):
        tasks = ", ".join(str(task + 1) for task in full)
        return Undefined(f"the single-task AUC is 1, nothing can be gained, on task {tasks}")
    return float(((area - alone) / (1 - alone)).mean())


def _area(curve_J_P: Array, samples_P: Array) -> Array:
    """Return the mean height under each curve, shape (T,)."""
    area: Array = np.trapezoid(curve_J_P, samples_P, axis=1) / (samples_P[-1] - samples_P[0])
    return area
