"""Synthetic runs for the measures of claims 4 to 8: known numbers, no model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from cl_bench.claims.data import Data
from cl_bench.claims.measure import Detail
from cl_bench.claims.plan import Plan
from cl_bench.claims.subject import EMBEDDED
from cl_bench.metrics.stats.student import Estimate
from cl_bench.metrics.undefined import Undefined
from cl_bench.sweep.cell import Cell

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "rl": {"learning_rate": 6e-4, "problems_per_step": 8},
    "prompt": {"proposals": 3, "round_exercises": 16},
    "fst": {"learning_rate": 3e-4, "problems_per_step": 16},
}
GROUP_SIZE = 8
Row = dict[str, object]


def make_plan(budget: str = "small", seeds: Sequence[int] = (100, 101)) -> Plan:
    """A plan in which fast-slow training takes steps of twice as many problems."""
    return Plan(EMBEDDED.budgets[budget], tuple(seeds), SETTINGS)


class Runs(Data):
    """Tables of synthetic runs; a cell that has none is a missing run."""

    def __init__(self) -> None:
        self._tables: dict[tuple[str, str], pd.DataFrame] = {}
        self._reasons: dict[str, str] = {}

    def add(self, cell: Cell, **tables: Sequence[Mapping[str, object]]) -> None:
        """Give a run's tables, from the last row to the first: order must not matter."""
        for name, rows in tables.items():
            self._tables[name, cell.name] = pd.DataFrame(list(rows)[::-1])

    def diverge(self, cell: Cell) -> None:
        """Say that a run diverged."""
        self._reasons[cell.name] = f"run {cell.name} diverged at step 7"

    def lose(self, cell: Cell) -> None:
        """Say that a run was never made."""
        self._reasons[cell.name] = f"run {cell.name} is missing"

    def table(self, name: str, cell: Cell) -> pd.DataFrame | Undefined:
        """A table of a run, or why there is none."""
        missing = f"run {cell.name} is missing"
        if cell.name in self._reasons or (name, cell.name) not in self._tables:
            return Undefined(self._reasons.get(cell.name, missing))
        return self._tables[name, cell.name].copy()


def means(line: Detail) -> dict[str, float]:
    """The means of a line of details that have a value."""
    return {name: found.value for name, found in line.values.items() if isinstance(found, Estimate)}


def row(
    step: int,
    domain: str,
    accuracy: float,
    *,
    stage: int = 1,
    at: str = "stage-end",
    prompt: str = "learner",
    weights: str = "trained",
    test_set: str = "stream",
    samples: int = 0,
) -> Row:
    """A row of `evaluations` with the columns that the measures read."""
    return {
        "step": step,
        "stage": 0 if step == 0 else stage,
        "at": "start" if step == 0 else at,
        "domain": domain,
        "prompt": prompt,
        "weights": weights,
        "test_set": test_set,
        "accuracy": accuracy,
        "samples_slow": samples,
        "rollouts": samples,
    }


def on_stream(cell: Cell, accuracy: Callable[[str, int], float], parts: int) -> list[Row]:
    """The rows of a run on facts → code → physics, evaluated `parts` times in every stage.

    `accuracy(domain, point)` under the run's own prompt, point 0 being before training.
    """
    domains = cell.stream.split("-to-")
    rows = []
    for point in range(len(domains) * parts + 1):
        at = "inside" if point % parts else "stage-end"
        stage = (point - 1) // parts + 1
        step = point * cell.steps // parts
        rows += [row(step, d, accuracy(d, point), stage=stage, at=at) for d in domains]
    # The seed prompt and the other kinds of rows must not be taken for these.
    return rows + [{**each, "prompt": "seed", "accuracy": 0.99} for each in rows]


def training(cell: Cell, reward: Sequence[float], **more: Sequence[float]) -> dict[str, Any]:
    """The tables `steps` and `evaluations` of a run with these rewards."""
    spent = GROUP_SIZE * cell.options.get("problems_per_step", 8)
    columns = {"signal": [1.0] * len(reward), "grad_norm": [0.5] * len(reward), **more}
    steps = [
        {"step": step, "domain": cell.stream, "reward": value}
        | {name: values[step - 1] for name, values in columns.items()}
        for step, value in enumerate(reward, 1)
    ]
    last = len(reward)
    points = [row(0, cell.stream, 0.0), row(last, cell.stream, 0.5, samples=spent * last)]
    return {"steps": steps, "evaluations": points}
