"""Metrics as pure functions of arrays: numpy in, a float or `Undefined` out, never a silent NaN."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from numpy.typing import ArrayLike

from cl_bench.metrics.continual import (
    anytime_average_accuracy,
    average_accuracy,
    bwt_gem,
    bwt_trace,
    forgetting_first,
    forgetting_max,
    fwt_base,
)
from cl_bench.metrics.undefined import Undefined

__all__ = [
    "METRICS",
    "Metric",
    "Undefined",
    "anytime_average_accuracy",
    "average_accuracy",
    "bwt_gem",
    "bwt_trace",
    "forgetting_first",
    "forgetting_max",
    "fwt_base",
]


class Metric(NamedTuple):
    """A metric of one accuracy matrix of shape (T+1, T), with one line on what it says."""

    summary: str
    function: Callable[[ArrayLike], float | Undefined]


METRICS: Mapping[str, Metric] = {
    "average_accuracy": Metric("mean accuracy over all tasks at the end", average_accuracy),
    "anytime_average_accuracy": Metric(
        "mean over stages of the accuracy on tasks seen so far", anytime_average_accuracy
    ),
    "bwt_gem": Metric("change on earlier tasks since their stage, over T-1 tasks", bwt_gem),
    "bwt_trace": Metric("the same change, over T tasks (TRACE)", bwt_trace),
    "fwt_base": Metric("gain over the base model before a task's own stage", fwt_base),
    "forgetting_max": Metric("loss from the best a task ever was", forgetting_max),
    "forgetting_first": Metric("loss from the end of a task's own stage", forgetting_first),
}
