"""The values of other packages' metrics; one that fails is undefined and breaks no report."""

from __future__ import annotations

from math import isfinite
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cl_bench.errors import PluginError
from cl_bench.metrics.undefined import Undefined
from cl_bench.plugins import one_line
from cl_bench.registry import PLUGIN_METRICS


def plugin_metrics(acc_I_J: NDArray[np.float64]) -> dict[str, float | Undefined]:
    """By full name, the metrics that installed packages offer, of the matrix of shape (T+1, T)."""
    return {name: _plugin_metric(name, acc_I_J) for name in PLUGIN_METRICS}


def _plugin_metric(name: str, acc_I_J: NDArray[np.float64]) -> float | Undefined:
    try:
        value: Any = PLUGIN_METRICS.load(name).function(acc_I_J.copy())
        if isinstance(value, Undefined):
            return value
        number = isinstance(value, Real) and not isinstance(value, bool)
        if number and isfinite(float(value)):
            return float(value)
        return Undefined(one_line(f"gave {value!r}, which is no finite number"))
    except PluginError as error:
        return Undefined(f"broken: {error.reason}")
    except Exception as error:  # noqa: BLE001 - foreign code
        return Undefined(one_line(f"raised {type(error).__name__}: {error}"))
