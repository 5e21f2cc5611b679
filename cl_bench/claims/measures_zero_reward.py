"""Claim 7: when training first earns a reward on a domain where the base earns none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cl_bench.claims.by_seed import (
    Columns,
    Value,
    detail,
    estimate,
    log2_ratio,
    measured,
    minus,
    ratio_estimate,
)
from cl_bench.claims.measure import Detail, Measured
from cl_bench.metrics.arrays import Array, missing
from cl_bench.metrics.undefined import Undefined

if TYPE_CHECKING:
    from cl_bench.claims.data import Data
    from cl_bench.claims.plan import Plan
    from cl_bench.sweep.cell import Cell

DOMAIN = "star-graph"
LEARNERS = ("rl", "fst")
WINDOW = 10
"""Successive steps whose mean reward is looked at."""
LEVEL = 0.1
"""Mean reward that counts as having begun to learn."""
_ROUNDING = 1e-9
"""What a mean of ten may lack of the level by its arithmetic."""


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
    def recent_reward(self) -> Array:
        """Mean reward of the ten steps up to each one, from the tenth on; shape (T - 9,)."""
        return recent(self.reward_T)

    @property
    def reached(self) -> float | None:
        """Samples by the end of the first ten steps with a mean reward of 0.1, if there are any."""
        found = self.recent_reward >= LEVEL - _ROUNDING
        return float(self.samples_T[found.argmax() + WINDOW - 1]) if found.any() else None

    @property
    def onset(self) -> float:
        """Samples at which the mean reward of ten steps first is 0.1; all, if it never is."""
        return float(self.samples_T[-1]) if self.reached is None else self.reached

    @property
    def first_signal(self) -> Value:
        """Samples at the end of the first step in which the rewards of a group differ."""
        found = self.signal_T > 0
        if not found.any():
            return Undefined("no step had a training signal")
        return float(self.samples_T[found.argmax()])


def recent(value_T: Array) -> Array:
    """Mean of every ten successive values, shape (T - 9,)."""
    windows = np.lib.stride_tricks.sliding_window_view(value_T, WINDOW)
    mean: Array = windows.mean(axis=1)
    return mean


def training(data: Data, cell: Cell) -> Training | Undefined:
    """The training steps of a run; undefined with less than ten, or with a reward missing."""
    steps, evaluations = data.table("steps", cell), data.table("evaluations", cell)
    if isinstance(steps, Undefined):
        return steps
    if isinstance(evaluations, Undefined):
        return evaluations
    if len(steps) < WINDOW:
        return Undefined(f"{cell.name} has {len(steps)} training steps, fewer than {WINDOW}")
    if evaluations.empty or not evaluations["samples_slow"].max():
        return Undefined(f"{cell.name} spent no training samples")
    steps = steps.sort_values("step")
    reward_T = steps["reward"].to_numpy(float)
    undefined = missing(reward_T=reward_T)
    if undefined is not None:
        return undefined
    last = evaluations.loc[evaluations["step"].idxmax()]
    per_step = last["samples_slow"] / last["step"]
    return Training(
        steps["step"].to_numpy(float) * per_step,
        reward_T,
        steps["signal"].to_numpy(float),
        steps["grad_norm"].to_numpy(float),
    )


def columns(
    data: Data, plan: Plan, seed: int, quantity: Callable[[Training], Value]
) -> dict[str, Value]:
    """By learner a quantity of its training, for one seed."""
    found: dict[str, Value] = {}
    for learner in LEARNERS:
        run = training(data, plan.single(DOMAIN, learner, seed))
        found[learner] = run if isinstance(run, Undefined) else quantity(run)
    return found


def onset(data: Data, plan: Plan) -> Measured:
    """7a: training samples at the onset of RL over those of fast-slow training, log2."""

    def of_seed(seed: int) -> Value:
        samples = columns(data, plan, seed, lambda run: run.onset)
        return log2_ratio(samples["rl"], samples["fst"])

    def line(what: str, quantity: Callable[[Training], Value]) -> Detail:
        return detail(what, plan.seeds, lambda seed: columns(data, plan, seed, quantity), "samples")

    details = [
        line(f"mean reward of {WINDOW} steps first at {LEVEL}", lambda run: run.onset),
        line("first step with a training signal", lambda run: run.first_signal),
        _gradients(data, plan),
    ]
    return measured(plan.seeds, of_seed, details, _notes(data, plan))


def last_reward(data: Data, plan: Plan) -> Measured:
    """7b: mean training reward of the last ten steps, fast-slow training minus RL."""

    def of_seed(seed: int) -> Columns:
        reward = columns(data, plan, seed, lambda run: float(run.recent_reward[-1]))
        return reward | {"difference": minus(reward["fst"], reward["rl"])}

    line = detail(f"mean reward of the last {WINDOW} steps", plan.seeds, of_seed)
    return measured(plan.seeds, lambda seed: of_seed(seed)["difference"], [line])


def _gradients(data: Data, plan: Plan) -> Detail:
    def of_seed(seed: int) -> Value:
        norms = columns(data, plan, seed, _mean_gradient)
        return log2_ratio(norms["fst"], norms["rl"])

    ratio = ratio_estimate({seed: of_seed(seed) for seed in plan.seeds})
    return Detail("gradient norm, mean over the run", {"fst / rl": ratio}, "ratio")


def _mean_gradient(run: Training) -> Value:
    undefined = missing(grad_norm_T=run.grad_norm_T)
    return float(run.grad_norm_T.mean()) if undefined is None else undefined


def _notes(data: Data, plan: Plan) -> list[str]:
    """How many runs never got there, and the gradient norms themselves."""
    notes = []
    for learner in LEARNERS:
        found = [training(data, plan.single(DOMAIN, learner, seed)) for seed in plan.seeds]
        runs = [run for run in found if not isinstance(run, Undefined)]
        never = sum(run.reached is None for run in runs)
        if never:
            notes.append(
                f"{never} of {len(runs)} runs of {learner} never reached a mean reward of {LEVEL} "
                "and count with all their samples"
            )
    norms = {seed: columns(data, plan, seed, _mean_gradient) for seed in plan.seeds}
    for learner in LEARNERS:
        norm = estimate({seed: row[learner] for seed, row in norms.items()})
        if not isinstance(norm, Undefined):
            notes.append(f"gradient norm of {learner}, mean over the run: {norm}")
    return notes


MEASURES: Mapping[str, Callable[[Data, Plan], Measured]] = {"7a": onset, "7b": last_reward}
