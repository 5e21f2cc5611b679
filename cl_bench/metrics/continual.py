"""Continual-learning metrics of one accuracy matrix.

`acc_I_J`, shape (T+1, T), holds R[i, j]: the score on task j after training through stage i. Row 0
is the base model before any training; in formulas tasks and stages count from 1, so R[i, j] is
`acc_I_J[i, j - 1]`. A missing cell is NaN (or None).

Every function returns a float in the matrix's own unit, or `Undefined` with the reason: too few
stages, or the name of a missing cell that the metric needs. No function changes its argument. A
matrix of another shape, or with infinite values, is a `ValueError`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from cl_bench.metrics.arrays import Array, accuracy_matrix, missing_cells, seen
from cl_bench.metrics.undefined import Undefined


def average_accuracy(acc_I_J: ArrayLike) -> float | Undefined:
    """Mean accuracy over all tasks at the end of the stream.

    1/T Σ_j R[T, j]. Lopez-Paz & Ranzato 2017 (GEM), "average accuracy".
    """
    matrix = accuracy_matrix(acc_I_J)
    needed = np.zeros(matrix.shape, dtype=bool)
    needed[-1] = True
    undefined = missing_cells(matrix, needed)
    return float(matrix[-1].mean()) if undefined is None else undefined


def anytime_average_accuracy(acc_I_J: ArrayLike) -> float | Undefined:
    """Mean over stages of the mean accuracy on the tasks seen so far.

    1/T Σ_i (1/i Σ_{j≤i} R[i, j]). "Average incremental / anytime accuracy" of the surveys.
    """
    matrix = accuracy_matrix(acc_I_J)
    cells = seen(matrix)
    undefined = missing_cells(matrix, cells)
    if undefined is not None:
        return undefined
    stages = np.arange(1, matrix.shape[1] + 1)
    return float((np.where(cells, matrix, 0.0)[1:].sum(axis=1) / stages).mean())


def bwt_gem(acc_I_J: ArrayLike) -> float | Undefined:
    """Backward transfer: what later stages did to earlier tasks; negative means forgetting.

    1/(T−1) Σ_{j<T} (R[T, j] − R[j, j]). Lopez-Paz & Ranzato 2017 (GEM), equation 3.
    """
    changes = _changes_since_learned(accuracy_matrix(acc_I_J))
    return changes if isinstance(changes, Undefined) else float(changes.mean())


def bwt_trace(acc_I_J: ArrayLike) -> float | Undefined:
    """Backward transfer with the sum divided by all tasks, hence (T−1)/T of `bwt_gem`.

    1/T Σ_{j<T} (R[T, j] − R[j, j]). Wang et al. 2023 (TRACE).
    """
    changes = _changes_since_learned(accuracy_matrix(acc_I_J))
    return changes if isinstance(changes, Undefined) else float(changes.sum() / (len(changes) + 1))


def fwt_base(acc_I_J: ArrayLike) -> float | Undefined:
    """Forward transfer: what earlier stages did for a task before its own stage began.

    1/(T−1) Σ_{j≥2} (R[j−1, j] − R[0, j]). GEM, equation 4, with the base model's score as b_j
    in place of a randomly initialised model's.
    """
    matrix = accuracy_matrix(acc_I_J)
    # R[j−1, j] is the cell [j−1, j−1] of the array, whose columns count from 0.
    later = np.arange(1, matrix.shape[1])
    needed = np.zeros(matrix.shape, dtype=bool)
    needed[later, later] = needed[0, later] = True
    undefined = missing_cells(matrix, needed, least=2)
    if undefined is not None:
        return undefined
    return float((matrix[later, later] - matrix[0, later]).mean())


def forgetting_max(acc_I_J: ArrayLike) -> float | Undefined:
    """Forgetting from the best a task was before the last stage; negative means improvement.

    1/(T−1) Σ_{j<T} (max_{j≤l<T} R[l, j] − R[T, j]). Chaudhry et al. 2018, equation 3.
    """
    matrix = accuracy_matrix(acc_I_J)
    needed = seen(matrix)
    needed[:, -1] = False
    undefined = missing_cells(matrix, needed, least=2)
    if undefined is not None:
        return undefined
    best_J = np.where(needed, matrix, -np.inf)[:-1, :-1].max(axis=0)
    return float((best_J - matrix[-1, :-1]).mean())


def forgetting_first(acc_I_J: ArrayLike) -> float | Undefined:
    """Forgetting from the end of a task's own stage: exactly −`bwt_gem`.

    1/(T−1) Σ_{j<T} (R[j, j] − R[T, j]). The variant of the Avalanche library.
    """
    changes = _changes_since_learned(accuracy_matrix(acc_I_J))
    return changes if isinstance(changes, Undefined) else float(0 - changes.mean())


def _changes_since_learned(matrix: Array) -> Array | Undefined:
    """Return R[T, j] − R[j, j] for every j < T, shape (T−1,)."""
    # R[j, j] is the cell [j, j−1] of the array, whose columns count from 0.
    earlier = np.arange(matrix.shape[1] - 1)
    needed = np.zeros(matrix.shape, dtype=bool)
    needed[-1, :-1] = needed[earlier + 1, earlier] = True
    undefined = missing_cells(matrix, needed, least=2)
    if undefined is not None:
        return undefined
    changes: Array = matrix[-1, :-1] - matrix[earlier + 1, earlier]
    return changes
