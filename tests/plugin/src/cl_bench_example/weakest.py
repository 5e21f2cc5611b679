"""The accuracy of the weakest task at the end."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from cl_bench.metrics import Metric, Undefined
from cl_bench.metrics.quantities import SHARE


def weakest(acc_I_J: ArrayLike) -> float | Undefined:
    """min_j R[T, j]."""
    last_J = np.asarray(acc_I_J, dtype=np.float64)[-1]
    return Undefined("the last row has a missing cell") if np.isnan(last_J).any() else last_J.min()


METRIC = Metric("accuracy of the weakest task at the end", weakest, SHARE)
