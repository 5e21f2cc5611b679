"""Claim 3: how far from the base RL and fast-slow training are at the same accuracy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median

import numpy as np

from cl_bench.claims.measure import (
    BySeed,
    Curves,
    Detail,
    Measured,
    Trajectory,
    both,
    detail,
    generator,
    measured,
)
from cl_bench.claims.plan import KL_DOMAINS, Plan
from cl_bench.metrics import kl_at_matched_accuracy
from cl_bench.metrics.arrays import Array
from cl_bench.metrics.undefined import Undefined

LARGEST = 10.0
"""log2 of the largest ratio, 1024: what is shown where one of the two never left the base."""


@dataclass(frozen=True)
class Pair:
    """The trajectories of RL and fast-slow training of one seed: accuracies and KL to the base."""

    rl: Trajectory
    fst: Trajectory


@dataclass(frozen=True)
class Matched:
    """KL(policy ‖ base) at the accuracies that both reach, mean over them, nats per token."""

    rl: float
    fst: float

    @property
    def log_ratio(self) -> float:
        """log2 of RL's over fast-slow training's, between −10 and 10."""
        with np.errstate(divide="ignore"):
            ratio = np.log2(self.rl) - np.log2(self.fst)
        return float(np.clip(ratio, -LARGEST, LARGEST))

    @property
    def clipped(self) -> bool:
        """Whether the ratio is at its bound, or would lie beyond it."""
        return abs(self.log_ratio) >= LARGEST


Pairs = Mapping[str, Mapping[int, Pair | Undefined]]
"""By domain and seed; undefined where a run is."""
Found = Mapping[str, Mapping[int, Matched | Undefined]]
"""By domain and seed; undefined where a run is, or without common accuracies."""


def own_prompts(data: Curves, plan: Plan) -> Measured:
    """3a: each under the prompt that it would be evaluated with."""
    return _measure(data, plan, "learner")


def seed_prompt(data: Curves, plan: Plan) -> Measured:
    """3b: both under the seed prompt, accuracies too."""
    return _measure(data, plan, "seed")


def pairs_of(data: Curves, plan: Plan, prompt: str) -> Pairs:
    """The runs of all domains and seeds under a prompt."""
    return {
        domain: {seed: _pair(data, plan, domain, seed, prompt) for seed in plan.seeds}
        for domain in KL_DOMAINS
    }


def common_range(pair: Pair) -> tuple[float, float]:
    """The lowest and highest accuracy that both reach; there are none if they are not in order."""
    return (
        float(max(pair.rl[0][0], pair.fst[0][0])),
        float(min(pair.rl[0].max(), pair.fst[0].max())),
    )


def match(pair: Pair, level_L: Array | None = None) -> Matched | Undefined:
    """Both divergences at the common accuracies, or at those given; undefined without any, or if
    both are the base."""
    found = kl_at_matched_accuracy(*pair.rl, *pair.fst, level_L)
    if not isinstance(found, Undefined):
        return Matched(float(found.learner_kl_L.mean()), float(found.reference_kl_L.mean()))
    # Undefined with fast-slow training as the reference where it never left the base, too.
    other = kl_at_matched_accuracy(*pair.fst, *pair.rl, level_L)
    if isinstance(other, Undefined):
        return found
    return Matched(float(other.reference_kl_L.mean()), float(other.learner_kl_L.mean()))


def _measure(data: Curves, plan: Plan, prompt: str) -> Measured:
    rng = generator()
    pairs = pairs_of(data, plan, prompt)
    found = {
        domain: {s: p if isinstance(p, Undefined) else match(p) for s, p in by_seed.items()}
        for domain, by_seed in pairs.items()
    }
    value_by_seed, medians = (
        {seed: _value(pairs, found, seed, average) for seed in plan.seeds}
        for average in (mean, median)
    )
    details = [line for domain in KL_DOMAINS for line in _details(domain, found[domain], rng)]
    for name, by_seed in (("mean", value_by_seed), ("median", medians)):
        details.append(detail(f"{name} over domains", {"ratio": by_seed}, rng, "ratio"))
    return measured(value_by_seed, details, rng, _notes(pairs, found))


def _pair(data: Curves, plan: Plan, domain: str, seed: int, prompt: str) -> Pair | Undefined:
    cells = (plan.single(domain, "rl", seed), plan.single(domain, "fst", seed))
    found = both(data, cells, domain, "accuracy", "kl_policy_base", prompt=prompt)
    return found if isinstance(found, Undefined) else Pair(*found)


def _value(
    pairs: Pairs, found: Found, seed: int, average: Callable[[Sequence[float]], float]
) -> float | Undefined:
    """The average of the logarithms over the domains with common accuracies; none if a run of any
    domain is missing."""
    for domain, by_seed in pairs.items():
        pair = by_seed[seed]
        if isinstance(pair, Undefined):
            return Undefined(f"{domain}: {pair.reason}")
    ratios = [m.log_ratio for m in (by[seed] for by in found.values()) if isinstance(m, Matched)]
    return average(ratios) if ratios else Undefined("no domain has common accuracies")


def _details(
    domain: str, found: Mapping[int, Matched | Undefined], rng: np.random.Generator
) -> tuple[Detail, Detail]:
    def each(value: Callable[[Matched], float]) -> BySeed:
        return {s: m if isinstance(m, Undefined) else value(m) for s, m in found.items()}

    ratio = {"ratio": each(lambda m: m.log_ratio)}
    kl = {"rl": each(lambda m: m.rl), "fst": each(lambda m: m.fst)}
    return (
        detail(domain, ratio, rng, "ratio"),
        detail(f"{domain}, mean KL at common accuracies", kl, rng, "nats"),
    )


def _notes(pairs: Pairs, found: Found) -> list[str]:
    """How many pairs of runs have nothing to compare, and how many count with the bound."""
    there = [(d, s) for d, by in pairs.items() for s, p in by.items() if isinstance(p, Pair)]
    without = sum(isinstance(found[domain][seed], Undefined) for domain, seed in there)
    pairs_of_runs = f"of {len(there)} pairs of runs"
    notes = []
    if without:
        notes.append(f"{without} {pairs_of_runs} have no common accuracies and are left out")
    clipped = sum(
        isinstance(m, Matched) and m.clipped for by in found.values() for m in by.values()
    )
    if clipped:
        bound = f"{2**LARGEST:.0f}"
        notes.append(
            f"{clipped} {pairs_of_runs} have a ratio of {bound} or more, or of 1/{bound} or less, "
            "and count with that bound: it weighs in the mean over domains, less in the median"
        )
    return notes
