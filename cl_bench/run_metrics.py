"""What one run is measured by: a number, or `Undefined` with its reason, from its tables alone.

Leaderboards, comparisons and the gate all take their numbers from `RUN_METRICS`, so that a name
means the same number everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from cl_bench.metrics.arrays import Array
from cl_bench.metrics.continual import (
    anytime_average_accuracy,
    average_accuracy,
    bwt_gem,
    forgetting_max,
)
from cl_bench.metrics.stability import general_ability_delta, min_accuracy, stability_gap
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.summary import accuracy_matrix
from cl_bench.run_tables import RunTables
from cl_bench.views import probe_accuracy, stream_rows

if TYPE_CHECKING:
    import pandas as pd

METRIC_VERSION = 1
"""Counts up whenever a metric of `RUN_METRICS` changes its formula: numbers of two versions are
not compared."""

Better = Literal["higher", "lower", "neither"]


class Measured:
    """A run whose tables are read once, however many metrics ask for them."""

    def __init__(self, run: RunTables) -> None:
        self.run = run
        self.manifest: Mapping[str, Any] = run.manifest
        self._frames: dict[str, pd.DataFrame] = {}

    @property
    def stages(self) -> tuple[str, ...]:
        """The domain of every stage."""
        return tuple(stage["domain"] for stage in self.manifest["stream"]["stages"])

    @cached_property
    def ends(self) -> tuple[int, ...]:
        """The step at which every stage ends."""
        return tuple(
            int(step) for step in np.cumsum([s["steps"] for s in self.manifest["stream"]["stages"]])
        )

    def table(self, name: str) -> pd.DataFrame:
        """All rows of a table; do not change the frame."""
        if name not in self._frames:
            self._frames[name] = self.run.table(name)
        return self._frames[name]

    def matrix(self, prompt: str = "learner") -> Array:
        """acc_I_J, shape (T+1, T), on the stream's problems; NaN where nothing was evaluated."""
        return accuracy_matrix(self.table("evaluations"), self.stages, prompt)

    def trajectory(self, prompt: str = "learner") -> tuple[Array, Array]:
        """acc_E_J, shape (E, T), at all evaluations in order, and stage_E, shape (E,)."""
        rows = stream_rows(self.table("evaluations"))
        rows = rows[rows["prompt"] == prompt]
        wide = rows.pivot_table(index=["step", "stage"], columns="domain", values="accuracy")
        wide = wide.reindex(columns=list(self.stages)).sort_index()
        stages = wide.index.get_level_values("stage")
        return wide.to_numpy(dtype=np.float64), stages.to_numpy(dtype=np.float64)

    def last(self, column: str, prompt: str) -> float | Undefined:
        """Mean over the stream's domains of a column of `evaluations` at the stream's end."""
        rows = stream_rows(self.table("evaluations"))
        rows = rows[(rows["prompt"] == prompt) & (rows["step"] == self.ends[-1])]
        if rows.empty:
            return Undefined(f"no evaluation at the stream's end (step {self.ends[-1]})")
        lost = rows["domain"][rows[column].isna()]
        if len(lost):
            return Undefined(f"{column} is not a number on {', '.join(lost)}")
        return float(rows[column].mean())

    def spent(self, *columns: str) -> float:
        """Sum over both channels of columns of `ledger`, at the last evaluation."""
        ledger = self.table("ledger").sort_values("step", kind="stable")
        return float(ledger.groupby("channel")[list(columns)].last().to_numpy().sum())


@dataclass(frozen=True)
class RunMetric:
    """One number of a run."""

    title: str
    """For headings, such as `average accuracy`."""
    unit: str
    better: Better
    value: Callable[[Measured], float | Undefined]
    low: float | None = None
    """The smallest value there can be; None if there is none."""
    high: float | None = None


def _of_matrix(
    metric: Callable[[ArrayLike], float | Undefined], prompt: str = "learner"
) -> Callable[[Measured], float | Undefined]:
    return lambda run: metric(run.matrix(prompt))


def _of_trajectory(
    metric: Callable[[ArrayLike, ArrayLike], float | Undefined],
) -> Callable[[Measured], float | Undefined]:
    return lambda run: metric(*run.trajectory())


def _retention(run: Measured) -> float | Undefined:
    accuracy = probe_accuracy(run.table("evaluations"), "retention")
    if accuracy.empty:
        return Undefined("no domain outside the stream was evaluated")
    last = len(run.stages)
    if last not in accuracy.index or 0 not in accuracy.index:
        return Undefined("needs the base model and the end of the stream")
    return general_ability_delta(accuracy.loc[[0, last]].to_numpy())


def _harder(run: Measured) -> float | Undefined:
    accuracy = probe_accuracy(run.table("evaluations"), "harder")
    if accuracy.empty:
        return Undefined("the hardest setting was not evaluated")
    last = len(run.stages)
    if last not in accuracy.index:
        return Undefined("needs the end of the stream")
    return float(accuracy.loc[last].mean())


def _seconds(run: Measured) -> float | Undefined:
    timing = run.table("timing")
    return float(timing["seconds"].sum()) if len(timing) else Undefined("no time was recorded")


_TOKENS = ("prompt_tokens", "generated_tokens", "reflection_tokens")
_NATS = "nats/token"

RUN_METRICS: Mapping[str, RunMetric] = {
    "average_accuracy": RunMetric(
        "average accuracy", "share", "higher", _of_matrix(average_accuracy), 0, 1
    ),
    "average_accuracy_seed_prompt": RunMetric(
        "average accuracy, seed prompt",
        "share",
        "higher",
        _of_matrix(average_accuracy, "seed"),
        0,
        1,
    ),
    "anytime_average_accuracy": RunMetric(
        "anytime average accuracy", "share", "higher", _of_matrix(anytime_average_accuracy), 0, 1
    ),
    "bwt_gem": RunMetric("backward transfer (GEM)", "share", "higher", _of_matrix(bwt_gem), -1, 1),
    "forgetting_max": RunMetric(
        "forgetting (max)", "share", "lower", _of_matrix(forgetting_max), -1, 1
    ),
    "min_accuracy": RunMetric(
        "worst accuracy of finished tasks", "share", "higher", _of_trajectory(min_accuracy), 0, 1
    ),
    "stability_gap": RunMetric(
        "stability gap", "share", "lower", _of_trajectory(stability_gap), 0, 1
    ),
    "retention_delta": RunMetric("change outside the stream", "share", "higher", _retention, -1, 1),
    "harder_accuracy": RunMetric(
        "accuracy in the hardest setting, seed prompt", "share", "higher", _harder, 0, 1
    ),
    "kl_policy_base": RunMetric(
        "KL(policy ‖ base), learner's prompt",
        _NATS,
        "lower",
        lambda run: run.last("kl_policy_base", "learner"),
        0,
    ),
    "kl_policy_base_seed_prompt": RunMetric(
        "KL(policy ‖ base), seed prompt",
        _NATS,
        "lower",
        lambda run: run.last("kl_policy_base", "seed"),
        0,
    ),
    "rollouts": RunMetric("rollouts", "rollouts", "lower", lambda run: run.spent("rollouts"), 0),
    "tokens": RunMetric("tokens", "tokens", "lower", lambda run: run.spent(*_TOKENS), 0),
    "seconds": RunMetric("wall time", "seconds", "lower", _seconds, 0),
}
"""By name, in the order in which tables show them. Accuracies are those of the learner's prompt on
the stream's test problems where the title says nothing else; divergences are those at the stream's
end. Plug-in metrics of a matrix stand beside them (`cl_bench.plugin_metrics`)."""


def run_metrics(run: RunTables) -> dict[str, float | Undefined]:
    """All of `RUN_METRICS` of one run, finished or not."""
    measured = Measured(run)
    return {name: metric.value(measured) for name, metric in RUN_METRICS.items()}
