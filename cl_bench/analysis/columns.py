"""The numbers of every row of a leaderboard, in the order in which tables show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cl_bench.analysis.run_values import RUN_METRICS, Axis, Better, RunMetric

PLASTICITY = "plasticity_ratio"
EFFICIENCY: Mapping[str, Axis] = {
    "sample_efficiency": "samples_slow",
    "sample_efficiency_rollouts": "rollouts",
}
"""What a learner's samples are counted in."""


@dataclass(frozen=True)
class Column:
    """A number of every row."""

    title: str
    unit: str
    better: Better
    low: float | None = None
    """The smallest value there can be; None if there is none."""
    high: float | None = None


def columns(plugins: Mapping[str, object]) -> dict[str, Column]:
    """By name; those of plug-ins' metrics, the keys of `plugins`, come last."""
    found: dict[str, Column] = {}
    for name, metric in RUN_METRICS.items():
        if name == "rollouts":
            found |= _COMPARED
        found[name] = _column(metric)
    return found | {name: Column(name, "", "neither") for name in plugins}


def _column(metric: RunMetric) -> Column:
    return Column(metric.title, metric.unit, metric.better, metric.low, metric.high)


_COMPARED: Mapping[str, Column] = {
    PLASTICITY: Column("plasticity against the base", "ratio", "higher", 0),
    "sample_efficiency": Column("sample efficiency, training samples", "ratio", "higher", 0),
    "sample_efficiency_rollouts": Column("sample efficiency, all rollouts", "ratio", "higher", 0),
}
"""Numbers of a run that need other runs."""
