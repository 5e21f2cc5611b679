"""Claim 7: when training first earns a reward on a domain where the base earns none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from math import log2
from typing import TYPE_CHECKING, Any

import numpy as np

from cl_bench.analysis.paired import BySeed
from cl_bench.claims.claim import Claim, Measurement, Registered, paper_figure
from cl_bench.claims.measure import (
    Added,
    MeasuredStatement,
    Trajectory,
    detail,
    difference,
    generator,
    measured,
    move_on,
)
from cl_bench.claims.plan import Plan, singles
from cl_bench.claims.rule import Statement
from cl_bench.claims.styles import (
    colour,
    counted_curves,
    in_percent,
    label,
    legend,
    say_where_empty,
    sheet,
)
from cl_bench.claims.training_steps import (
    DOMAIN,
    LEARNERS,
    LEVEL,
    ROUNDING,
    WINDOW,
    Runs,
    Training,
    each,
    trainings,
)
from cl_bench.claims.wording import of_detail
from cl_bench.metrics import over_seeds
from cl_bench.metrics.arrays import Array
from cl_bench.metrics.quantities import COUNT
from cl_bench.metrics.undefined import Undefined

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
            "7b",
            "mean training reward over the whole run, fast-slow training minus RL",
            0.0,
            0.05,
        ),
    ),
)


def onset(data: Data, plan: Plan) -> MeasuredStatement:
    """7a: training samples at the onset of RL over those of fast-slow training, log2."""
    rng = generator()
    runs = trainings(data, plan)
    onsets = each(runs, lambda run: run.onset)
    signals = each(runs, lambda run: run.first_signal)
    norms = each(runs, lambda run: run.mean_gradient)
    details = [
        detail(f"mean reward of {WINDOW} samples first at {LEVEL}", onsets, rng, "samples"),
        detail("first step with a training signal", signals, rng, "samples"),
        detail(
            "gradient norm, FST over RL",
            {"ratio": _log2_ratio(norms["fst"], norms["rl"])},
            rng,
            "ratio",
        ),
    ]
    ratio = _log2_ratio(onsets["rl"], onsets["fst"])
    return measured(ratio, details, rng, [*_never(runs), *_norms(norms, rng)])


def mean_reward(data: Data, plan: Plan) -> MeasuredStatement:
    """7b: mean training reward over the whole run, fast-slow training minus RL."""
    rng = generator()
    rewards = each(trainings(data, plan), lambda run: run.mean_reward)
    more = difference(rewards["fst"], rewards["rl"])
    columns = {**rewards, "difference": more}
    return measured(more, [detail("reward of the whole run", columns, rng)], rng)


def _log2_ratio(first: BySeed, second: BySeed) -> BySeed:
    """log2 of first over second, seed by seed."""
    logs = [{seed: _log2(value) for seed, value in values.items()} for values in (first, second)]
    return difference(*logs)


def _log2(value: float | Undefined) -> float | Undefined:
    if isinstance(value, Undefined):
        return value
    return log2(value) if value > 0 else Undefined(f"{value:g} has no ratio")


def _never(runs: Runs) -> list[str]:
    """How many runs have no onset."""
    notes = []
    for learner, by_seed in runs.items():
        there = [run for run in by_seed.values() if not isinstance(run, Undefined)]
        never = sum(run.reached is None for run in there)
        if never:
            notes.append(
                f"{never} of {len(there)} runs of {learner} never reached a mean reward of {LEVEL} "
                "and count with all their samples"
            )
    return notes


def _norms(norms: Mapping[str, BySeed], rng: np.random.Generator) -> list[str]:
    move_on(rng, *norms.values())
    means = {learner: over_seeds(by_seed, generator()) for learner, by_seed in norms.items()}
    return [
        f"gradient norm of {learner}, mean over the run: {of_detail('', 'plain', mean)}"
        for learner, mean in means.items()
        if not isinstance(mean, Undefined)
    ]


# Added after the runs, beside the judged values

_Read = Callable[["Data", "Cell"], "float | Undefined"]


def beside_onset(data: Data, plan: Plan) -> Added:
    """7a: onsets by single steps and in all rollouts, and how near to none the reward begins."""
    runs = trainings(data, plan)
    windows = each(runs, lambda run: _or_none(run.reached))
    steps = each(runs, _first_step)
    single = f"first single step with a mean reward of {LEVEL}"
    details = [
        detail(f"{single}, training samples", steps, scale="samples"),
        detail(f"{single}, all rollouts", _in_rollouts(data, plan, steps), scale="samples"),
        detail("onset, all rollouts", _in_rollouts(data, plan, windows), scale="samples"),
    ]
    details.append(detail("reward of the first step", each(runs, lambda r: float(r.reward_T[0]))))
    base = {s: _base_accuracy(data, plan.single(DOMAIN, "rl", s)) for s in plan.seeds}
    details.append(detail("base accuracy, seed prompt", {"base": base}))
    hits = {name: _expected(base, by_seed) for name, by_seed in runs.items()}
    details.append(detail("expected successes of the base in the first step", hits, scale="plain"))
    return Added(tuple(details), tuple(_earliest(runs)))


def beside_reward(data: Data, plan: Plan) -> Added:
    """7b: accuracy under own prompts, and what the population of prompts was."""

    def of(learner: str, read: _Read) -> BySeed:
        return {s: read(data, plan.single(DOMAIN, learner, s)) for s in plan.seeds}

    def accuracy(place: int) -> Mapping[str, BySeed]:
        return {
            name: of(name, lambda data, cell: _evaluated(data, cell, place)) for name in LEARNERS
        }

    population = {"fst": of("fst", _effective_k)}
    return Added(
        (
            detail("accuracy, own prompt, first evaluation in training", accuracy(1)),
            detail("accuracy, own prompt, last evaluation", accuracy(-1)),
            detail("effective K, prompts kept after a round", population, scale="plain"),
            detail("rounds that kept the seed prompt", {"fst": of("fst", _seed_kept)}),
        )
    )


def _first_step(run: Training) -> float | Undefined:
    """Samples by the end of the first step whose mean reward is the level."""
    found = run.reward_T >= LEVEL - ROUNDING
    return float(run.samples_T[found.argmax()]) if found.any() else _or_none(None)


def _base_accuracy(data: Data, cell: Cell) -> float | Undefined:
    """What the base model scores under the seed prompt, before training."""
    return data.cell_accuracy(cell, DOMAIN, at="start", prompt="seed")


def _effective_k(data: Data, cell: Cell) -> float | Undefined:
    """Prompts in the population after a round, mean over rounds."""
    rounds = _kept(data, cell)
    if isinstance(rounds, Undefined):
        return rounds
    return float(rounds.groupby("round")["kept"].sum().mean())


def _seed_kept(data: Data, cell: Cell) -> float | Undefined:
    """Share of the rounds after which the seed prompt was in the population."""
    rounds = _kept(data, cell)
    if isinstance(rounds, Undefined):
        return rounds
    seed = rounds["kept"] & (rounds["prompt_id"] == 0)
    return float(seed.groupby(rounds["round"]).any().mean())


def _kept(data: Data, cell: Cell) -> pd.DataFrame | Undefined:
    prompts = data.table("prompts", cell)
    if isinstance(prompts, Undefined):
        return prompts
    if prompts.empty:
        return Undefined(f"run {cell.name} has no rounds")
    return prompts.assign(kept=prompts["fate"] == "kept")


def _or_none(samples: float | None) -> float | Undefined:
    return Undefined(f"never at {LEVEL}") if samples is None else samples


def _in_rollouts(data: Data, plan: Plan, onsets: Mapping[str, BySeed]) -> Mapping[str, BySeed]:
    """Training samples as all rollouts, linearly between evaluations, where both are counted."""

    def spent(cell: Cell, samples: float | Undefined) -> float | Undefined:
        if isinstance(samples, Undefined):
            return samples
        rows = data.table("evaluations", cell)
        if isinstance(rows, Undefined):
            return rows
        points = rows[["samples_slow", "rollouts"]].drop_duplicates().sort_values("samples_slow")
        return float(np.interp(samples, points["samples_slow"], points["rollouts"]))

    return {
        learner: {s: spent(plan.single(DOMAIN, learner, s), at) for s, at in by_seed.items()}
        for learner, by_seed in onsets.items()
    }


def _expected(base: BySeed, runs: Mapping[int, Training | Undefined]) -> BySeed:
    def successes(seed: int) -> float | Undefined:
        run, share = runs[seed], base[seed]
        if isinstance(run, Undefined):
            return run
        return share if isinstance(share, Undefined) else share * float(run.samples_T[0])

    return {seed: successes(seed) for seed in base}


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
        for run in by_seed.values()
        if not isinstance(run, Undefined) and run.reached is not None
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
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    runs = trainings(data, plan)
    with sheet(1, 2) as (figure, axes):
        for panel, column in zip(axes, ("reward_T", "grad_norm_T"), strict=True):
            for learner, by_seed in runs.items():
                counted_curves(panel, learner, [_smooth(run, column) for run in by_seed.values()])
            panel.set_xlabel("training samples")
            panel.xaxis.set_major_formatter("{x:,.0f}")
            panel.xaxis.set_major_locator(MaxNLocator(4))
            panel.set_xlim(left=0)
        say_where_empty(axes)
        reward, gradient = axes
        reward.set(title=f"reward on {DOMAIN}", ylabel=f"mean of {WINDOW} samples")
        _draw_onsets(runs, reward)
        in_percent(reward)
        reward.set_ylim(bottom=0)
        gradient.set(title="gradient norm before clipping", ylabel=f"mean of {WINDOW} samples")
        gradient.set_ylim(bottom=0)
        ring = Line2D([], [], color="#555555", label="onset of a seed", ms=7, **_RING)
        legend(figure, LEARNERS, [ring])
    return figure


def _draw_onsets(runs: Runs, panel: Axes) -> None:
    """A ring for every run that reached the level, where the measure says so; how many below."""
    panel.axhline(LEVEL, color="#888888", lw=0.9, ls=":")
    told: dict[float, list[str]] = {}
    for learner, by_seed in runs.items():
        there = [run.reached for run in by_seed.values() if not isinstance(run, Undefined)]
        at = Counter(samples for samples in there if samples is not None)
        size = _SIZES[learner]
        panel.plot(list(at), [LEVEL] * len(at), color=colour(learner), ms=size, zorder=3, **_RING)
        for samples, seeds in at.items():
            told.setdefault(samples, []).append(f"{seeds} {label(learner)}")
    lines = [f"{COUNT.text(samples)}: {', '.join(told[samples])}" for samples in sorted(told)]
    if lines:
        said = "\n".join(["onsets at", *lines])
        panel.text(0.97, 0.12, said, transform=panel.transAxes, ha="right", va="bottom")


def _smooth(run: Training | Undefined, column: str) -> Trajectory | Undefined:
    """The means of the windows that the measure looks at, each where it ends."""
    if isinstance(run, Undefined):
        return run
    value_T: Array = getattr(run, column)
    return run.samples_T[run.window - 1 :], run.recent(value_T)


CLAIM = Claim(
    REGISTERED,
    runs=singles((DOMAIN,), LEARNERS),
    measurements={
        "7a": Measurement(
            "RL ÷ FST, end of the first 640 samples with a mean reward of 0.1", onset, beside_onset
        ),
        "7b": Measurement("FST − RL, training reward", mean_reward, beside_reward),
    },
    figure=draw,
)
