"""The numbers of every row of a leaderboard, in the order in which tables show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cl_bench.analysis.plugin_metrics import plugin_quantity
from cl_bench.analysis.run_values import RUN_METRICS, Axis, Column
from cl_bench.metrics.quantities import RATIO

PLASTICITY = "plasticity_ratio"
EFFICIENCY: Mapping[str, Axis] = {
    "sample_efficiency": "samples_slow",
    "sample_efficiency_rollouts": "rollouts",
}
"""What a learner's samples are counted in."""


def columns(plugins: Iterable[str] = ()) -> dict[str, Column]:
    """By name; those of plug-ins' metrics, which are named, come last."""
    found: dict[str, Column] = {}
    for name, metric in RUN_METRICS.items():
        if name == "rollouts":
            found |= _COMPARED
        found[name] = metric
    return found | {name: Column(name, plugin_quantity(name), "neither") for name in plugins}


_COMPARED: Mapping[str, Column] = {
    PLASTICITY: Column("plasticity against the base", RATIO, "higher"),
    "sample_efficiency": Column("sample efficiency, training samples", RATIO, "higher"),
    "sample_efficiency_rollouts": Column("sample efficiency, all rollouts", RATIO, "higher"),
}
"""Numbers of a run that need other runs."""
