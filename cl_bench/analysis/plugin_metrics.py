"""The values of other packages' metrics; one that fails is undefined and breaks no report."""

from __future__ import annotations

from contextlib import suppress
from math import isfinite
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cl_bench.contract.errors import PluginError
from cl_bench.contract.registry import Registry
from cl_bench.contract.text import one_line
from cl_bench.metrics import Metric
from cl_bench.metrics.quantities import NUMBER, Quantity
from cl_bench.metrics.undefined import Undefined


def metric_fault(found: Any, _name: str) -> str:
    """The fault of an object that a plug-in offers as a `Metric`; empty if it has none."""
    if not isinstance(found, Metric):
        return (
            f"it is of type {type(found).__name__}; offer a Metric, with summary and function "
            "(cl_bench/metrics)"
        )
    summary: object = found.summary
    if not isinstance(summary, str) or not summary or not callable(found.function):
        return "a Metric is a text and a function, as in Metric('what it says', function)"
    quantity: object = found.quantity
    if not isinstance(quantity, Quantity):
        return "the quantity of a Metric is one of cl_bench/metrics/quantities.py"
    return ""


PLUGIN_METRICS: Registry[Metric] = Registry(
    "metric", {}, "cl_bench.metrics", "cl_bench.analysis.plugin_metrics:metric_fault"
)
"""Metrics of other packages; those built in are `cl_bench.metrics.METRICS`."""


def plugin_metrics(acc_I_J: NDArray[np.float64]) -> dict[str, float | Undefined]:
    """By full name, the metrics that installed packages offer, of the matrix of shape (T+1, T).

    A broken one is left out; `cl-bench list` says why it is broken.
    """
    values = {}
    for name in PLUGIN_METRICS:
        with suppress(PluginError):
            values[name] = _value(PLUGIN_METRICS.load(name), acc_I_J)
    return values


def plugin_quantity(name: str) -> Quantity:
    """The quantity of a metric of a plug-in; a number of no unit if it is not installed here."""
    if name in PLUGIN_METRICS:
        with suppress(PluginError):
            return PLUGIN_METRICS.load(name).quantity
    return NUMBER


def _value(metric: Metric, acc_I_J: NDArray[np.float64]) -> float | Undefined:
    try:
        value: Any = metric.function(acc_I_J.copy())
        if isinstance(value, Undefined):
            return value
        number = isinstance(value, Real) and not isinstance(value, bool)
        if number and isfinite(float(value)):
            return float(value)
        return Undefined(one_line(f"gave {value!r}, which is not a finite number"))
    except Exception as error:  # noqa: BLE001 - foreign code
        return Undefined(one_line(f"raised {type(error).__name__}: {error}"))
