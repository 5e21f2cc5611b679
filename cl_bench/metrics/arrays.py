"""Checks of the arrays that metrics take: their shape, finite values, missing values.

Missing values are NaN or None. A wrong shape or an infinite value is the caller's mistake and
raises `ValueError`; a missing value is data, and makes the metric `Undefined`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cl_bench.metrics.undefined import Undefined

Array = NDArray[np.float64]
Cells = NDArray[np.bool_]

ROUNDING = 1e-12
"""Relative difference that counts as none: sums of the same numbers in another order differ by
less."""
_NAMED = 5
"""Missing values that are named one by one; of further ones only the number is given."""


def accuracy_matrix(acc_I_J: ArrayLike) -> Array:
    """Return a copy of the matrix as floats.

    Raises `ValueError` unless its shape is (T+1, T), and for infinite values.
    """
    matrix = np.array(acc_I_J, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] == 0 or matrix.shape[0] != matrix.shape[1] + 1:
        raise ValueError(
            f"An accuracy matrix has the shape (T+1, T), the base model's row and one row a stage; "
            f"got {matrix.shape}. Put missing cells in as NaN; with seeds, call once for each."
        )
    if np.isinf(matrix).any():
        raise ValueError("An accuracy matrix holds finite values or NaN for missing; got infinity.")
    return matrix


def seen(matrix: Array) -> Cells:
    """Return the mask of the cells R[i, j] whose task j has been trained on: those with i ≥ j."""
    tasks = matrix.shape[1]
    return np.tri(tasks + 1, tasks, k=-1, dtype=bool)


def missing_cells(matrix: Array, needed: Cells, least: int = 1) -> Undefined | None:
    """Return why nothing can be computed, or None.

    That is so with fewer than `least` stages, or with NaN in a needed cell.
    """
    if matrix.shape[1] < least:
        return Undefined(f"needs at least {least} stages, got {matrix.shape[1]}")
    places = np.argwhere(needed & np.isnan(matrix))
    if not len(places):
        return None
    cells = ", ".join(f"R[{i}, {j + 1}]" for i, j in places)
    return Undefined(f"missing {'cell' if len(places) == 1 else 'cells'} {cells}")


def real_array(name: str, values: ArrayLike, axes: str) -> Array:
    """Return a copy as floats; raise `ValueError` for other axes (one letter each) or infinity."""
    array = np.array(values, dtype=np.float64)
    if array.ndim != len(axes):
        shape = f"({', '.join(axes)}{',' if len(axes) == 1 else ''})"
        raise ValueError(f"{name} has the shape {shape if axes else '()'}; got {array.shape}.")
    if np.isinf(array).any():
        raise ValueError(f"{name} holds finite values or NaN for missing; got infinity.")
    return array


def same_shape(**arrays: Array) -> None:
    """Raise `ValueError`, with all names and shapes, unless all arrays have one shape."""
    if len({array.shape for array in arrays.values()}) > 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ValueError(f"These need one shape and are paired value by value; got {shapes}.")


def missing(**arrays: Array) -> Undefined | None:
    """Return `Undefined` that names the missing values, with indices from 0, or None.

    For instance `missing(single_J=array)` returns `Undefined("missing single_J[2]")`.
    """
    for name, array in arrays.items():
        if array.size == 0:
            return Undefined(f"{name} is empty")
        places = np.argwhere(np.isnan(array))
        if len(places):
            named = [f"{name}{list(map(int, place)) or ''}" for place in places[:_NAMED]]
            more = f" and {len(places) - _NAMED} more" if len(places) > _NAMED else ""
            return Undefined(f"missing {', '.join(named)}{more}")
    return None


def paired(**named: ArrayLike) -> list[Array] | Undefined:
    """Return arrays of one shape as floats, or the reason why values of theirs are missing.

    The last letter of each name is its axis. Raises `ValueError` for shapes that differ.
    """
    arrays = {name: real_array(name, values, name[-1]) for name, values in named.items()}
    same_shape(**arrays)
    undefined = missing(**arrays)
    return list(arrays.values()) if undefined is None else undefined


def shares(name: str, array: Array) -> None:
    """Raise `ValueError` unless all values of `array` lie from 0 to 1."""
    outside = array[(array < 0) | (array > 1)]
    if len(outside):
        raise ValueError(f"{name} holds accuracies from 0 to 1; got {outside[0]:.10g}.")


def growing(name: str, samples_P: Array) -> None:
    """Raise `ValueError` unless the numbers of samples begin at 0 or above and grow."""
    if samples_P.size and (samples_P[0] < 0 or (np.diff(samples_P) <= 0).any()):
        raise ValueError(f"{name} must be at least 0 and grow from point to point.")
