"""The metrics of one run: a number, or `Undefined` with its reason, from its tables alone.

Leaderboards, comparisons and the gate all take their numbers from `RUN_METRICS`, so that a name
means the same number everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from math import isfinite, isnan
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from cl_bench.analysis.responses import Responses, responses_of
from cl_bench.metrics.arrays import Array
from cl_bench.metrics.continual import (
    anytime_average_accuracy,
    average_accuracy,
    bwt_gem,
    forgetting_max,
)
from cl_bench.metrics.quantities import (
    NATS,
    POINTS,
    ROLLOUTS,
    SECONDS,
    SHARE,
    TOKENS,
    Quantity,
)
from cl_bench.metrics.stability import general_ability_delta, min_accuracy, stability_gap
from cl_bench.metrics.undefined import Undefined, mean_of
from cl_bench.store.run_tables import RunTables, rows_of
from cl_bench.store.views import matrix_of

if TYPE_CHECKING:
    import pandas as pd

METRIC_VERSION = 1
"""Counts up whenever a metric of `RUN_METRICS` changes its formula: numbers of two versions are
not compared."""

Better = Literal["higher", "lower", "neither"]
PeakSet = Literal["stream", "validation"]
Axis = Literal["samples_slow", "rollouts"]
"""The axis of a learning curve: training samples of RL, or all rollouts."""


class EvaluationRow(NamedTuple):
    """One row of `evaluations`."""

    domain: str
    test_set: str
    setting: str
    prompt: str
    weights: str
    step: int
    stage: int
    at: str
    accuracy: float
    n_items: int
    completion_tokens: float
    kl_policy_base: float
    kl_deployed_start: float | None
    format_rate: float | None
    truncation_rate: float | None
    samples_slow: int
    rollouts: int


class Measured:
    """A run whose tables are read once, however many metrics ask for them.

    What metrics read often is kept as plain tuples: a leaderboard measures a thousand runs, and
    asking a data frame of a few rows takes longer than the arithmetic.
    """

    def __init__(self, run: RunTables) -> None:
        self.run = run
        self.manifest: Mapping[str, Any] = run.manifest
        self._frames: dict[str, pd.DataFrame] = {}
        self._matrices: dict[tuple[str, str], Array] = {}
        self._responses: dict[int, dict[str, Responses]] = {}

    @cached_property
    def stages(self) -> tuple[str, ...]:
        """The domain of every stage."""
        return tuple(stage["domain"] for stage in self.manifest["stream"]["stages"])

    @cached_property
    def ends(self) -> tuple[int, ...]:
        """The step at which every stage ends."""
        return tuple(accumulate(int(s["steps"]) for s in self.manifest["stream"]["stages"]))

    def table(self, name: str) -> pd.DataFrame:
        """All rows of a table; do not change the frame."""
        if name not in self._frames:
            self._frames[name] = self.run.table(name)
        return self._frames[name]

    def rows(
        self, name: str, *columns: str, where: Mapping[str, object] | None = None
    ) -> list[tuple[Any, ...]]:
        """Some columns of a table as tuples, in the order they were written; all rows, or those
        that have the values of `where`."""
        return rows_of(self.run, name, columns, where=where or {})

    @cached_property
    def evaluated(self) -> list[EvaluationRow]:
        """All rows of `evaluations`."""
        return [EvaluationRow(*row) for row in self.rows("evaluations", *EvaluationRow._fields)]

    @cached_property
    def points(self) -> list[EvaluationRow]:
        """Those of the stream's problems and the policy in training."""
        return [p for p in self.evaluated if p.test_set == "stream" and p.weights == "trained"]

    @cached_property
    def peak_set(self) -> PeakSet:
        """The problems on which peaks are sought: validation problems, if the run was asked any, so
        that the test problems have no part in the choice."""
        asked = any(p.test_set == "validation" for p in self.evaluated)
        return "validation" if asked else "stream"

    def responses(self, step: int) -> dict[str, Responses]:
        """By domain, the policy's responses to the stream's test problems under the learner's
        prompt; empty where none were kept."""
        if step not in self._responses:
            where = {"step": step, "test_set": "stream", "weights": "trained", "prompt": "learner"}
            rows = self.rows("items", "domain", "uid", "score", "answer", where=where)
            self._responses[step] = responses_of(rows)
        return self._responses[step]

    def matrix(self, prompt: str = "learner", column: str = "accuracy") -> Array:
        """A column of `EvaluationRow` at the start and at the ends of stages, on the stream's
        problems: acc_I_J, shape (T+1, T), or the like; NaN where nothing was evaluated."""
        if (prompt, column) not in self._matrices:
            ends = [p for p in self.points if p.prompt == prompt and p.at != "inside"]
            cells = [(p.stage, p.step, p.domain, getattr(p, column)) for p in ends]
            self._matrices[prompt, column] = matrix_of(cells, self.stages, prompt)
        return self._matrices[prompt, column].copy()

    def trajectory(self, prompt: str = "learner") -> tuple[Array, Array]:
        """acc_E_J, shape (E, T), at all evaluations in order, and stage_E, shape (E,)."""
        return self._course([p for p in self.points if p.prompt == prompt])

    def _course(self, points: Sequence[EvaluationRow]) -> tuple[Array, Array]:
        accuracy = {(p.step, p.domain): p.accuracy for p in points}
        stage = {p.step: p.stage for p in points}
        steps = sorted(stage)
        acc_E_J = np.array(
            [[accuracy.get((step, name), np.nan) for name in self.stages] for step in steps]
        ).reshape(len(steps), len(self.stages))
        return acc_E_J, np.array([stage[step] for step in steps], dtype=np.float64)

    def curve(self, axis: Axis, prompt: str = "learner") -> tuple[Array, Array]:
        """Mean accuracy over the stages at all evaluations, shape (E,), and what was spent by then.

        On the problems of `peak_set`, since peaks are taken from it. NaN where a domain of the
        stream was not evaluated.
        """
        asked = (p for p in self.evaluated if p.test_set == self.peak_set)
        points = [p for p in asked if p.prompt == prompt and p.weights == "trained"]
        acc_E_J, _ = self._course(points)
        spent = {p.step: getattr(p, axis) for p in points}
        return acc_E_J.mean(axis=1), np.array([spent[step] for step in sorted(spent)], float)

    def last(self, column: str, prompt: str) -> float | Undefined:
        """Mean over the stream's domains of a column of `EvaluationRow` at the stream's end."""
        rows = [p for p in self.points if p.prompt == prompt and p.step == self.ends[-1]]
        if not rows:
            return Undefined(f"no evaluation at the stream's end (step {self.ends[-1]})")
        values = [getattr(row, column) for row in rows]
        unknown = [row.domain for row in rows if getattr(row, column) is None]
        if unknown:
            where = f" on {', '.join(unknown)}" if len(unknown) < len(rows) else ""
            return Undefined(f"{column} was not measured{where}")
        lost = [row.domain for row, value in zip(rows, values, strict=True) if not isfinite(value)]
        if lost:
            return Undefined(f"{column} is not a number on {', '.join(lost)}")
        return float(np.mean(values))

    def probe(self, test_set: str, stage: int) -> dict[str, float]:
        """By domain, the accuracy on `retention` or `harder` problems when a stage had ended."""
        asked = (p for p in self.evaluated if p.test_set == test_set and p.stage == stage)
        return {p.domain: p.accuracy for p in asked}

    def best_prompt(self) -> str | None:
        """The prompt with the highest score after the last round; None without a round."""
        rows = self.rows("prompts", "round", "fate", "score", "text")
        last = max((row[0] for row in rows), default=None)
        kept = [row for row in rows if row[0] == last and row[1] == "kept" and not isnan(row[2])]
        return str(max(kept, key=lambda row: row[2])[3]) if kept else None

    def spent(self, *columns: str) -> float:
        """Sum over both channels of columns of `ledger`, at the last evaluation."""
        ledger = sorted(self._ledger, key=lambda row: row[0])
        last = {row[1]: row[2:] for row in ledger}
        places = [_SPENT.index(column) for column in columns]
        return float(sum(row[place] for row in last.values() for place in places))

    @cached_property
    def _ledger(self) -> list[tuple[Any, ...]]:
        return self.rows("ledger", "step", "channel", *_SPENT)


@dataclass(frozen=True)
class Column:
    """A number of every run: what it is called, what it measures, which way is better."""

    title: str
    """For headings, such as `average accuracy`."""
    quantity: Quantity
    better: Better

    @property
    def unit(self) -> str:
        """Of raw values, in JSON and CSV."""
        return self.quantity.unit


@dataclass(frozen=True)
class RunMetric(Column):
    """A number that one run has by itself."""

    value: Callable[[Measured], float | Undefined]
    asked_for: bool = False
    """Whether a run has it by its settings alone: a board without any leaves its column out."""


def _of_matrix(
    metric: Callable[[ArrayLike], float | Undefined], prompt: str = "learner"
) -> Callable[[Measured], float | Undefined]:
    return lambda run: metric(run.matrix(prompt))


def _of_trajectory(
    metric: Callable[[ArrayLike, ArrayLike], float | Undefined],
) -> Callable[[Measured], float | Undefined]:
    return lambda run: metric(*run.trajectory())


def _at_end(column: str, prompt: str = "learner") -> Callable[[Measured], float | Undefined]:
    return lambda run: run.last(column, prompt)


def _retention(run: Measured) -> float | Undefined:
    before, after = run.probe("retention", 0), run.probe("retention", len(run.stages))
    if not any(p.test_set == "retention" for p in run.evaluated):
        return Undefined("no domain outside the stream was evaluated")
    if not before or before.keys() != after.keys():
        return Undefined("needs the base model and the end of the stream")
    return general_ability_delta([[of[name] for name in before] for of in (before, after)])


def _harder(run: Measured) -> float | Undefined:
    after = run.probe("harder", len(run.stages))
    if not any(p.test_set == "harder" for p in run.evaluated):
        return Undefined("the hardest setting was not evaluated")
    return (
        float(np.mean(list(after.values()))) if after else Undefined("needs the end of the stream")
    )


def _greedy(run: Measured) -> float | Undefined:
    rows = [p for p in run.evaluated if p.test_set == "greedy" and p.prompt == "learner"]
    if not rows:
        return Undefined("no greedy response was asked for (--greedy)")
    after = [p.accuracy for p in rows if p.step == run.ends[-1]]
    return float(np.mean(after)) if after else Undefined("needs the end of the stream")


def _pass_at_k(run: Measured) -> float | Undefined:
    found = run.responses(run.ends[-1])
    if found.keys() != set(run.stages):
        return Undefined("single responses at the stream's end were not kept")
    if min(of.samples for of in found.values()) < 2:
        return Undefined("one response to each problem: pass@1 is the accuracy")
    return mean_of(of.pass_at(of.samples) for of in found.values())


def _seconds(run: Measured) -> float | Undefined:
    timing = run.rows("timing", "seconds")
    return float(sum(row[0] for row in timing)) if timing else Undefined("no time was recorded")


_TOKENS = ("prompt_tokens", "generated_tokens", "reflection_tokens")
_SPENT = ("rollouts", *_TOKENS)

RUN_METRICS: Mapping[str, RunMetric] = {
    "average_accuracy": RunMetric(
        "average accuracy", SHARE, "higher", _of_matrix(average_accuracy)
    ),
    "average_accuracy_seed_prompt": RunMetric(
        "average accuracy, seed prompt", SHARE, "higher", _of_matrix(average_accuracy, "seed")
    ),
    "anytime_average_accuracy": RunMetric(
        "anytime average accuracy", SHARE, "higher", _of_matrix(anytime_average_accuracy)
    ),
    "bwt_gem": RunMetric("backward transfer (GEM)", POINTS, "higher", _of_matrix(bwt_gem)),
    "forgetting_max": RunMetric("forgetting (max)", POINTS, "lower", _of_matrix(forgetting_max)),
    "min_accuracy": RunMetric(
        "worst accuracy of finished tasks", SHARE, "higher", _of_trajectory(min_accuracy)
    ),
    "stability_gap": RunMetric("stability gap", POINTS, "lower", _of_trajectory(stability_gap)),
    "retention_delta": RunMetric("change outside the stream", POINTS, "higher", _retention),
    "harder_accuracy": RunMetric(
        "accuracy in the hardest setting, seed prompt", SHARE, "higher", _harder
    ),
    "pass_at_k": RunMetric(
        "pass@k, of all k responses to a problem", SHARE, "higher", _pass_at_k, asked_for=True
    ),
    "greedy_accuracy": RunMetric(
        "greedy accuracy (temperature 0)", SHARE, "higher", _greedy, asked_for=True
    ),
    "kl_policy_base": RunMetric(
        "KL(policy ‖ base), learner's prompt", NATS, "lower", _at_end("kl_policy_base")
    ),
    "kl_policy_base_seed_prompt": RunMetric(
        "KL(policy ‖ base), seed prompt", NATS, "lower", _at_end("kl_policy_base", "seed")
    ),
    "kl_deployed_start": RunMetric(
        "KL(deployed ‖ start), learner's prompt against the base's seed prompt",
        NATS,
        "lower",
        _at_end("kl_deployed_start"),
    ),
    "format_rate": RunMetric(
        "answers in a form of their own", SHARE, "neither", _at_end("format_rate")
    ),
    "truncation_rate": RunMetric("responses cut off", SHARE, "neither", _at_end("truncation_rate")),
    "completion_tokens": RunMetric(
        "length of responses", TOKENS, "neither", _at_end("completion_tokens")
    ),
    "rollouts": RunMetric("rollouts", ROLLOUTS, "lower", lambda run: run.spent("rollouts")),
    "tokens": RunMetric("tokens", TOKENS, "lower", lambda run: run.spent(*_TOKENS)),
    "seconds": RunMetric("wall time", SECONDS, "neither", _seconds),
}
"""By name, in the order in which tables show them. Accuracies are those of the learner's prompt on
the stream's test problems where the title says nothing else; divergences are those at the stream's
end. Plug-in metrics of a matrix stand beside them (`cl_bench.analysis.plugin_metrics`)."""


def run_metrics(run: RunTables) -> dict[str, float | Undefined]:
    """All of `RUN_METRICS` of one run, finished or not."""
    measured = Measured(run)
    return {name: metric.value(measured) for name, metric in RUN_METRICS.items()}
