"""The matrix metrics as `evaluate.Metric` objects. They need no network.

    from cl_bench.metrics.hf import load

    metric = load("bwt_gem")
    metric.compute(accuracies=acc_I_J)              # {"bwt_gem": -0.3}

or a row at a time, the base model's first: `metric.add(accuracies=row_J)` after every stage, then
`metric.compute()`. The metrics are those of one accuracy matrix, `cl_bench.metrics.METRICS`, with
the same values. An undefined one is None, with its reason beside it, so that results are JSON:
`{"bwt_gem": None, "bwt_gem_undefined": "needs at least 2 stages, got 1"}`.
"""

from __future__ import annotations

import difflib
from typing import Any

import datasets
import evaluate

from cl_bench.metrics import METRICS, Undefined


class MatrixMetric(evaluate.Metric):  # type: ignore[misc]  # evaluate ships no types
    """One metric of `METRICS`, named by `config_name`, or `all` of them."""

    def __init__(self, config_name: str = "all", **options: Any) -> None:
        if config_name != "all" and config_name not in METRICS:
            raise ValueError(_unknown(config_name))
        super().__init__(config_name=config_name, **{"keep_in_memory": True, **options})

    def _info(self) -> evaluate.MetricInfo:
        row = datasets.Sequence(datasets.Value("float64"))
        documentation = {name: metric.function.__doc__ for name, metric in METRICS.items()}
        return evaluate.MetricInfo(
            description=documentation.get(self.config_name) or "All metrics of one matrix.",
            citation="",
            inputs_description=(
                "accuracies: one row per stage, the base model's first; shares of 1, NaN or None "
                "where a cell is missing."
            ),
            features=datasets.Features({"accuracies": row}),
        )

    def _compute(self, *, accuracies: Any, **_: Any) -> dict[str, float | str | None]:
        names = METRICS if self.config_name == "all" else [self.config_name]
        found: dict[str, float | str | None] = {}
        for name in names:
            value = METRICS[name].function(accuracies)
            if isinstance(value, Undefined):
                found |= {name: None, f"{name}_undefined": value.reason}
            else:
                found[name] = value
        return found


def load(name: str = "all", **options: Any) -> MatrixMetric:
    """Return the metric of that name, or all; raise `ValueError` for an unknown name."""
    return MatrixMetric(name, **options)


def _unknown(name: str) -> str:
    known = ["all", *METRICS]
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"Unknown metric {name!r}.{hint} Known: {', '.join(known)}."
