"""Claim 7: when training first earns a reward on a domain where the base earns none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import log2
from operator import methodcaller
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cl_bench.analysis.paired import BySeed
from cl_bench.claims import styles
from cl_bench.claims.claim import Claim, Registered, measurement, paper_figure
from cl_bench.claims.measure import (
    Added,
    MeasuredStatement,
    Trajectory,
    defined,
    detail,
    difference,
    each,
    measured,
    pairs,
    with_difference,
)
from cl_bench.claims.plan import Plan, singles
from cl_bench.claims.rule import Statement
from cl_bench.claims.wording import of_detail
from cl_bench.metrics import over_seeds
from cl_bench.metrics.arrays import Array, missing
from cl_bench.metrics.quantities import COUNT
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks import drawings

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cl_bench.claims.data import Data
    from cl_bench.sweep.cell import Cell

REGISTERED = Registered(
    7,
    "zero-reward",
    "Fast-slow training escapes a zero reward sooner",
    "Single runs on star-graph, where the base scores about 0. Onset: the training samples at "
    "which the mean training reward of 640 successive samples first reaches 0.1; if never, all "
    "samples of the run. The domain has one convention: seeds differ in problems and sampling.",
    (
        paper_figure("first step with a signal", FST="≈ 50", RL="≈ 250"),
        paper_figure("reward at step 300", FST="≈ 80", RL="≈ 40"),
    ),
    (
        Statement("7a", "onset of RL over onset of fast-slow training", 1.0, 1.5, "ratio"),
        Statement(
            "7b", "mean training reward over the whole run, fast-slow training minus RL", 0.0, 0.05
        ),
    ),
)


DOMAIN = "star-graph"
LEARNERS = ("rl", "fst")
WINDOW = 640
"""Successive training samples whose mean reward is looked at: ten steps of 8 × 8."""
LEVEL = 0.1
"""Mean reward that counts as having begun to learn."""
_NEARLY = LEVEL - 1e-9
"""A mean may lack so much of the level by its arithmetic."""


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

    def smooth(self, column: str) -> Trajectory:
        """Samples at the ends of all windows, and the means of a column over them."""
        return self.samples_T[self.window - 1 :], self.recent(getattr(self, column))

    def first_at(self, found_T: NDArray[np.bool_]) -> float | None:
        """Samples by the end of the first step that is found, if there is any."""
        return float(self.samples_T[found_T.argmax()]) if found_T.any() else None

    @property
    def reached(self) -> float | None:
        """Samples by the end of the first window with a mean reward of 0.1, if there is any."""
        found = self.recent(self.reward_T) >= _NEARLY
        return float(self.samples_T[found.argmax() + self.window - 1]) if found.any() else None

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
        learner: {seed: training(data, cell) for seed, cell in cells.items()}
        for learner, cells in _cells(plan).items()
    }


def _cells(plan: Plan) -> Mapping[str, Mapping[int, Cell]]:
    return {learner: plan.single_runs(DOMAIN, learner) for learner in LEARNERS}


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


def of_learners(
    runs: Runs, quantity: Callable[[Training], float | Undefined]
) -> Mapping[str, BySeed]:
    """A quantity of every run."""
    return {learner: each(by_seed, quantity) for learner, by_seed in runs.items()}


def onset(data: Data, plan: Plan) -> MeasuredStatement:
    """Training samples at the onset of RL over those of fast-slow training, log2."""
    runs = trainings(data, plan)
    onsets = of_learners(runs, lambda run: run.reached or float(run.samples_T[-1]))
    silent = "no step had a training signal"
    signals = of_learners(runs, lambda run: _or_why(run.first_at(run.signal_T > 0), silent))
    norms = of_learners(runs, lambda run: run.mean_gradient)
    of_norms = {"ratio": _log2_ratio(norms["fst"], norms["rl"])}
    details = [
        detail(f"mean reward of {WINDOW} samples first at {LEVEL}", onsets, "samples"),
        detail("first step with a training signal", signals, "samples"),
        detail("gradient norm, FST over RL", of_norms, "ratio"),
    ]
    notes = [*_never(runs), *_norms(norms)]
    return measured(_log2_ratio(onsets["rl"], onsets["fst"]), details, notes)


def mean_reward(data: Data, plan: Plan) -> MeasuredStatement:
    """Mean training reward over the whole run, fast-slow training minus RL."""
    rewards = with_difference(of_learners(trainings(data, plan), lambda run: run.mean_reward))
    return measured(rewards["difference"], [detail("reward of the whole run", rewards)])


def _log2_ratio(first: BySeed, second: BySeed) -> BySeed:
    """log2 of first over second, seed by seed."""

    def log(value: float) -> float | Undefined:
        return log2(value) if value > 0 else Undefined(f"{value:g} has no ratio")

    return difference(each(first, log), each(second, log))


def _never(runs: Runs) -> list[str]:
    """How many runs have no onset."""
    notes = []
    for learner, by_seed in runs.items():
        there = defined(by_seed)
        never = sum(run.reached is None for run in there)
        if never:
            notes.append(
                f"{never} of {len(there)} runs of {learner} never reached a mean reward of {LEVEL} "
                "and count with all their samples"
            )
    return notes


def _norms(norms: Mapping[str, BySeed]) -> list[str]:
    means = {learner: over_seeds(by_seed) for learner, by_seed in norms.items()}
    return [
        f"gradient norm of {learner}, mean over the run: {of_detail('', 'plain', mean)}"
        for learner, mean in means.items()
        if not isinstance(mean, Undefined)
    ]


# Added after the runs, beside the judged values


def beside_onset(data: Data, plan: Plan) -> Added:
    """Onsets by single steps and in all rollouts, and how near to none the reward begins."""
    runs = trainings(data, plan)
    never = f"never at {LEVEL}"
    windows = of_learners(runs, lambda run: _or_why(run.reached, never))
    steps = of_learners(runs, lambda run: _or_why(run.first_at(run.reward_T >= _NEARLY), never))
    base = {
        seed: data.cell_accuracy(cell, DOMAIN, at="start", prompt="seed")
        for seed, cell in plan.single_runs(DOMAIN, "rl").items()
    }
    hits = {
        learner: each(pairs(by_seed, base), lambda both: both[1] * float(both[0].samples_T[0]))
        for learner, by_seed in runs.items()
    }
    single = f"first single step with a mean reward of {LEVEL}"
    details = (
        detail(f"{single}, training samples", steps, "samples"),
        detail(f"{single}, all rollouts", _in_rollouts(data, plan, steps), "samples"),
        detail("onset, all rollouts", _in_rollouts(data, plan, windows), "samples"),
        detail("reward of the first step", of_learners(runs, lambda run: float(run.reward_T[0]))),
        detail("base accuracy, seed prompt", {"base": base}),
        detail("expected successes of the base in the first step", hits, "plain"),
    )
    return Added(details, tuple(_earliest(runs)))


def beside_reward(data: Data, plan: Plan) -> Added:
    """Accuracy under own prompts, and what the population of prompts was."""

    def accuracy(place: int) -> Mapping[str, BySeed]:
        return {
            learner: {seed: _evaluated(data, cell, place) for seed, cell in cells.items()}
            for learner, cells in _cells(plan).items()
        }

    rounds = {seed: _rounds(data, cell) for seed, cell in _cells(plan)["fst"].items()}
    kept = each(rounds, lambda rows: float(rows.groupby("round")["kept"].sum().mean()))
    return Added(
        (
            detail("accuracy, own prompt, first evaluation in training", accuracy(1)),
            detail("accuracy, own prompt, last evaluation", accuracy(-1)),
            detail("effective K, prompts kept after a round", {"fst": kept}, "plain"),
            detail("rounds that kept the seed prompt", {"fst": each(rounds, _seed_kept)}),
        )
    )


def _rounds(data: Data, cell: Cell) -> pd.DataFrame | Undefined:
    """The prompts of all rounds, with the column `kept`."""
    prompts = data.table("prompts", cell)
    if isinstance(prompts, Undefined):
        return prompts
    if prompts.empty:
        return Undefined(f"run {cell.name} has no rounds")
    return prompts.assign(kept=prompts["fate"] == "kept")


def _seed_kept(rounds: pd.DataFrame) -> float:
    """Share of the rounds after which the seed prompt was in the population."""
    seed = rounds["kept"] & (rounds["prompt_id"] == 0)
    return float(seed.groupby(rounds["round"]).any().mean())


def _or_why(samples: float | None, why: str) -> float | Undefined:
    return Undefined(why) if samples is None else samples


def _in_rollouts(data: Data, plan: Plan, onsets: Mapping[str, BySeed]) -> Mapping[str, BySeed]:
    """Training samples as all rollouts, linearly between evaluations, where both are counted."""

    def spent(both: tuple[float, pd.DataFrame]) -> float:
        samples, rows = both
        points = rows[["samples_slow", "rollouts"]].drop_duplicates().sort_values("samples_slow")
        return float(np.interp(samples, points["samples_slow"], points["rollouts"]))

    tables = {
        learner: {seed: data.table("evaluations", cell) for seed, cell in cells.items()}
        for learner, cells in _cells(plan).items()
    }
    return {
        learner: each(pairs(by_seed, tables[learner]), spent) for learner, by_seed in onsets.items()
    }


def _evaluated(data: Data, cell: Cell, place: int) -> float | Undefined:
    curve = data.curve(cell, DOMAIN)
    if isinstance(curve, Undefined):
        return curve
    if len(curve) < 2:
        return Undefined(f"run {cell.name} was not evaluated after training began")
    return float(curve["accuracy"].iloc[place])


def _earliest(runs: Runs) -> list[str]:
    """How many onsets are where the window ends that begins with the first step."""
    found = [
        run.reached == run.samples_T[run.window - 1]
        for by_seed in runs.values()
        for run in defined(by_seed)
        if run.reached is not None
    ]
    if not any(found):
        return []
    count = f"{sum(found)} of {len(found)} onsets"
    window = f"the earliest value that the window can show, {WINDOW} samples"
    return [f"{count} are at {window}: 7a compares only what lies beyond it"]


# The figure

_RING: Any = {"marker": "o", "ls": "none", "mfc": "none", "mew": 1.6}
_SIZES = {"rl": 9, "fst": 4}
"""Diameters of rings, so that both are seen where they are at the same place."""


def draw(data: Data, plan: Plan) -> Figure:
    """Both against training samples, as means of the last 640 samples; onsets are marked."""
    runs = trainings(data, plan)
    with styles.sheet(1, 2) as (figure, axes):
        reward, gradient = axes
        for learner, by_seed in runs.items():
            for panel, column in ((reward, "reward_T"), (gradient, "grad_norm_T")):
                smooth = each(by_seed, methodcaller("smooth", column))
                styles.curves(panel, learner, smooth, counted=True)
        for panel in axes:
            panel.set(xlabel="training samples", ylabel=f"mean of {WINDOW} samples")
            styles.in_samples(panel)
            panel.set_xlim(left=0)
        styles.say_where_empty(axes)
        reward.set_title(f"reward on {DOMAIN}")
        gradient.set_title("gradient norm before clipping")
        _draw_onsets(runs, reward)
        drawings.in_percent(reward.yaxis)
        styles.from_zero(reward)
        styles.from_zero(gradient, percent=False)
        ring = styles.handle("onset of a seed", color=styles.GREY, ms=7, **_RING)
        styles.legend(figure, LEARNERS, [ring])
    return figure


def _draw_onsets(runs: Runs, panel: Axes) -> None:
    """A ring for every run that reached the level, where the measure says so; how many below."""
    panel.axhline(LEVEL, color="#888888", lw=0.9, ls=":")
    told: dict[float, list[str]] = {}
    for learner, by_seed in runs.items():
        at = Counter(run.reached for run in defined(by_seed) if run.reached is not None)
        look = {"color": styles.colour(learner), "ms": _SIZES[learner], **_RING}
        panel.plot(list(at), [LEVEL] * len(at), zorder=3, **look)
        for samples, seeds in at.items():
            told.setdefault(samples, []).append(f"{seeds} {styles.label(learner)}")
    lines = [f"{COUNT.text(samples)}: {', '.join(told[samples])}" for samples in sorted(told)]
    if lines:
        said = "\n".join(["onsets at", *lines])
        panel.text(0.97, 0.12, said, transform=panel.transAxes, ha="right", va="bottom")


CLAIM = Claim(
    REGISTERED,
    runs=singles(LEARNERS, lambda _subject: (DOMAIN,)),
    measurements={
        "7a": measurement(
            "RL ÷ FST, end of the first 640 samples with a mean reward of 0.1", onset, beside_onset
        ),
        "7b": measurement("FST − RL, training reward", mean_reward, beside_reward),
    },
    figure=draw,
)
