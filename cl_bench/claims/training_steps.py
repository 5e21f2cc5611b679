"""The training steps of single runs where the base earns no reward: when their reward begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cl_bench.analysis.paired import BySeed
from cl_bench.claims.plan import Plan
from cl_bench.metrics.arrays import Array, missing
from cl_bench.metrics.undefined import Undefined

if TYPE_CHECKING:
    from cl_bench.claims.data import Data
    from cl_bench.sweep.cell import Cell

DOMAIN = "star-graph"
LEARNERS = ("rl", "fst")
WINDOW = 640
"""Successive training samples whose mean reward is looked at: ten steps of 8 × 8."""
LEVEL = 0.1
"""Mean reward that counts as having begun to learn."""
ROUNDING = 1e-9
"""What a mean may lack of the level by its arithmetic."""


@dataclass(frozen=True, eq=False)
class Training:
    """The training steps of a run, in order."""

    samples_T: Array
    """Training samples spent by the end of each step."""
    reward_T: Array
    signal_T: Array
    """Share of the step's groups whose rewards differ."""
    grad_norm_T: Array

    @property
    def window(self) -> int:
        """Steps that spend `WINDOW` samples, at least one."""
        return max(1, round(WINDOW / float(self.samples_T[0])))

    def recent(self, value_T: Array) -> Array:
        """Mean of every window of successive steps, shape (T - window + 1,)."""
        windows = np.lib.stride_tricks.sliding_window_view(value_T, self.window)
        mean: Array = windows.mean(axis=1)
        return mean

    @property
    def reached(self) -> float | None:
        """Samples by the end of the first window with a mean reward of 0.1, if there is any."""
        found = self.recent(self.reward_T) >= LEVEL - ROUNDING
        return float(self.samples_T[found.argmax() + self.window - 1]) if found.any() else None

    @property
    def onset(self) -> float:
        """Samples at which the mean reward of a window first is 0.1; all, if it never is."""
        return float(self.samples_T[-1]) if self.reached is None else self.reached

    @property
    def first_signal(self) -> float | Undefined:
        """Samples by the end of the first step in which the rewards of a group differ."""
        found = self.signal_T > 0
        if not found.any():
            return Undefined("no step had a training signal")
        return float(self.samples_T[found.argmax()])

    @property
    def mean_reward(self) -> float:
        """Mean reward of all steps."""
        return float(self.reward_T.mean())

    @property
    def mean_gradient(self) -> float | Undefined:
        """Mean norm of the gradient before clipping; undefined if a step's is missing."""
        undefined = missing(grad_norm_T=self.grad_norm_T)
        return float(self.grad_norm_T.mean()) if undefined is None else undefined


Runs = Mapping[str, Mapping[int, Training | Undefined]]
"""By learner and seed."""


def trainings(data: Data, plan: Plan) -> Runs:
    """The single runs on star-graph."""
    return {
        learner: {s: training(data, plan.single(DOMAIN, learner, s)) for s in plan.seeds}
        for learner in LEARNERS
    }


def training(data: Data, cell: Cell) -> Training | Undefined:
    """The training steps of a run; undefined with less than a window, or with a reward missing."""
    steps, evaluations = data.table("steps", cell), data.table("evaluations", cell)
    if isinstance(steps, Undefined):
        return steps
    if isinstance(evaluations, Undefined):
        return evaluations
    spent = evaluations["samples_slow"].max()
    if spent < WINDOW:
        return Undefined(f"run {cell.name} spent {spent} training samples, fewer than {WINDOW}")
    steps = steps.sort_values("step")
    reward_T = steps["reward"].to_numpy(float)
    undefined = missing(reward_T=reward_T)
    if undefined is not None:
        return undefined
    last = evaluations.loc[evaluations["step"].idxmax()]
    return Training(
        steps["step"].to_numpy(float) * last["samples_slow"] / last["step"],
        reward_T,
        steps["signal"].to_numpy(float),
        steps["grad_norm"].to_numpy(float),
    )


def each(runs: Runs, quantity: Callable[[Training], float | Undefined]) -> Mapping[str, BySeed]:
    """A quantity of every run."""
    return {
        learner: {s: r if isinstance(r, Undefined) else quantity(r) for s, r in by_seed.items()}
        for learner, by_seed in runs.items()
    }
