"""Claim 1: how many times fewer samples fast-slow training needs for RL's own peak."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import log2

import numpy as np

from cl_bench.claims.measure import (
    BySeed,
    Curves,
    Detail,
    Measured,
    both,
    detail,
    generator,
    mean_over,
    measured,
    move_on,
)
from cl_bench.claims.plan import SINGLE_DOMAINS, Plan
from cl_bench.metrics import samples_to_reach
from cl_bench.metrics.undefined import Undefined

TRAINING, ALL = "samples_slow", "rollouts"
"""The axes: training samples, and all rollouts, those of the prompt optimiser included."""


@dataclass(frozen=True)
class Race:
    """RL and fast-slow training of one seed on the way to RL's peak."""

    level: float
    """RL's peak of accuracy, or the share of it that is asked for."""
    rl: float
    """Samples at which RL first is there."""
    fst: float
    """Samples at which fast-slow training first is there; all of its run, if it never is."""
    reached: bool

    @property
    def log_ratio(self) -> float:
        """log2 of RL's samples over those of fast-slow training."""
        return log2(self.rl / self.fst)


Races = Mapping[int, Race | Undefined]
"""By seed."""


def training_samples(data: Curves, plan: Plan) -> Measured:
    """1a: on the paper's axis."""
    return _measure(data, plan, TRAINING)


def all_rollouts(data: Curves, plan: Plan) -> Measured:
    """1b: with the prompt optimiser's rollouts."""
    return _measure(data, plan, ALL)


def races(data: Curves, plan: Plan, domain: str, axis: str = TRAINING, share: float = 1.0) -> Races:
    """The race of every seed on a domain, to RL's peak or to a share of it."""
    return {seed: _race(data, plan, domain, seed, axis, share) for seed in plan.seeds}


def _race(
    data: Curves, plan: Plan, domain: str, seed: int, axis: str, share: float
) -> Race | Undefined:
    cells = (plan.single(domain, "rl", seed), plan.single(domain, "fst", seed))
    found = both(data, cells, domain, "accuracy", axis)
    if isinstance(found, Undefined):
        return found
    rl, fst = found
    level = share * float(rl[0].max())
    goal = "RL's peak" if share == 1 else f"{share:.0%} of RL's peak"
    at_peak = samples_to_reach(*rl, level)
    if isinstance(at_peak, Undefined):
        return at_peak
    if not at_peak:
        return Undefined(f"{goal} ({level:.4g}) is the base model's score")
    needed = samples_to_reach(*fst, level)
    if isinstance(needed, Undefined):
        return Race(level, at_peak, float(fst[1][-1]), reached=False)
    if not needed:
        return Undefined(f"fast-slow training is at {goal} ({level:.4g}) with 0 samples")
    return Race(level, at_peak, needed, reached=True)


def _measure(data: Curves, plan: Plan, axis: str) -> Measured:
    rng = generator()
    found = {domain: races(data, plan, domain, axis) for domain in SINGLE_DOMAINS}
    ratios = {domain: each(by_seed, lambda r: r.log_ratio) for domain, by_seed in found.items()}
    details = [
        line
        for domain, by_seed in found.items()
        for line in (
            detail(domain, {"ratio": ratios[domain]}, rng, "ratio"),
            _samples(domain, by_seed, rng),
        )
    ]
    return measured(mean_over(ratios), details, rng, _notes(found))


def until(domain: str, by_seed: Races, goal: str = "RL's peak") -> Detail:
    """The samples of both learners over the seeds with which fast-slow training gets there."""
    there = {s: race for s, race in by_seed.items() if isinstance(race, Race) and race.reached}
    run = sum(isinstance(race, Race) for race in by_seed.values())
    what = f"{domain}, until {goal}: FST is there in {len(there)} of {run} runs"
    found: Races = there or dict.fromkeys(by_seed, Undefined(f"no run of FST reached {goal}"))
    values = {"rl": each(found, lambda race: race.rl), "fst": each(found, lambda race: race.fst)}
    return detail(what, values, scale="samples")


def _samples(domain: str, by_seed: Races, rng: np.random.Generator) -> Detail:
    reached = each(by_seed, lambda r: r.fst if r.reached else Undefined("never at RL's peak"))
    move_on(rng, each(by_seed, lambda race: race.rl), reached)
    return until(domain, by_seed)


def each(by_seed: Races, value: Callable[[Race], float | Undefined]) -> BySeed:
    """A value of every race."""
    return {
        seed: race if isinstance(race, Undefined) else value(race) for seed, race in by_seed.items()
    }


def _notes(found: Mapping[str, Races]) -> list[str]:
    run = [r for races in found.values() for r in races.values() if not isinstance(r, Undefined)]
    short = sum(not race.reached for race in run)
    if not short:
        return []
    count = f"{short} of {len(run)} runs of fast-slow training"
    return [f"{count} never reached RL's peak and count with all their samples, which flatters"]
