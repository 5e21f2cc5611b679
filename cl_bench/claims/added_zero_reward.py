"""Beside claim 7: what its window cannot show, how near to no reward the base is, the prompts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from cl_bench.claims.added import Added
from cl_bench.claims.claim_07_zero_reward import (
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
from cl_bench.claims.measure import BySeed, detail
from cl_bench.claims.plan import Plan
from cl_bench.metrics.undefined import Undefined

if TYPE_CHECKING:
    import pandas as pd

    from cl_bench.claims.data import Data
    from cl_bench.sweep.cell import Cell

_Read = Callable[["Data", "Cell"], "float | Undefined"]


def onset(data: Data, plan: Plan) -> Added:
    """7a: onsets by single steps and in all rollouts, and how near to none the reward begins."""
    runs = trainings(data, plan)
    windows = each(runs, lambda run: _or_none(run.reached))
    steps = each(runs, first_step)
    single = f"first single step with a mean reward of {LEVEL}"
    details = [
        detail(f"{single}, training samples", steps, scale="samples"),
        detail(f"{single}, all rollouts", _in_rollouts(data, plan, steps), scale="samples"),
        detail("onset, all rollouts", _in_rollouts(data, plan, windows), scale="samples"),
    ]
    details.append(detail("reward of the first step", each(runs, lambda r: float(r.reward_T[0]))))
    base = {s: base_accuracy(data, plan.single(DOMAIN, "rl", s)) for s in plan.seeds}
    details.append(detail("base accuracy, seed prompt", {"base": base}))
    hits = {name: _expected(base, by_seed) for name, by_seed in runs.items()}
    details.append(detail("expected successes of the base in the first step", hits, scale="plain"))
    return Added(tuple(details), tuple(_earliest(runs)))


def reward(data: Data, plan: Plan) -> Added:
    """7b: accuracy under own prompts, and what the population of prompts was."""

    def of(learner: str, read: _Read) -> BySeed:
        return {s: read(data, plan.single(DOMAIN, learner, s)) for s in plan.seeds}

    def accuracy(place: int) -> Mapping[str, BySeed]:
        return {
            name: of(name, lambda data, cell: _evaluated(data, cell, place)) for name in LEARNERS
        }

    population = {"fst": of("fst", kept)}
    return Added(
        (
            detail("accuracy, own prompt, first evaluation in training", accuracy(1)),
            detail("accuracy, own prompt, last evaluation", accuracy(-1)),
            detail("effective K, prompts kept after a round", population, scale="plain"),
            detail("rounds that kept the seed prompt", {"fst": of("fst", seed_kept)}),
        )
    )


def first_step(run: Training) -> float | Undefined:
    """Samples by the end of the first step whose mean reward is the level."""
    found = run.reward_T >= LEVEL - ROUNDING
    return float(run.samples_T[found.argmax()]) if found.any() else _or_none(None)


def base_accuracy(data: Data, cell: Cell) -> float | Undefined:
    """What the base model scores under the seed prompt, before training."""
    return data.cell_accuracy(cell, DOMAIN, at="start", prompt="seed")


def kept(data: Data, cell: Cell) -> float | Undefined:
    """Prompts in the population after a round, mean over rounds."""
    rounds = _kept(data, cell)
    if isinstance(rounds, Undefined):
        return rounds
    return float(rounds.groupby("round")["kept"].sum().mean())


def seed_kept(data: Data, cell: Cell) -> float | Undefined:
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
