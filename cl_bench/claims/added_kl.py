"""Beside claim 3: what the prompt gives for nothing, and what hangs on narrow common ranges."""

from __future__ import annotations

from statistics import mean

import numpy as np

from cl_bench.claims.added import Added
from cl_bench.claims.claim_03_kl import Matched, Pair, Pairs, common_range, match, pairs_of
from cl_bench.claims.data import Data
from cl_bench.claims.measure import detail
from cl_bench.claims.plan import KL_DOMAINS, Plan
from cl_bench.metrics.divergence import LEVELS
from cl_bench.metrics.undefined import Undefined

NARROW = 0.05
"""Common range of accuracy below which ten levels are little more than one."""
_FREE = (
    "the base is asked under the same evolved prompt, so that accuracy which the prompt gains "
    "costs no KL by construction: 3a counts it for fast-slow training"
)


def own_prompts(data: Data, plan: Plan) -> Added:
    """3a: above what the base reaches under the evolved prompt, and without narrow ranges."""
    pairs = pairs_of(data, plan, "learner")
    details, without = [], []
    for domain in KL_DOMAINS:
        found = {s: _above_base(data, plan, domain, s, pairs[domain][s]) for s in plan.seeds}
        what = f"{domain}, at accuracies above base + evolved prompt"
        ratios = {s: m.log_ratio if isinstance(m, Matched) else m for s, m in found.items()}
        details.append(detail(what, {"ratio": ratios}, scale="ratio"))
        without += [
            f"{domain} seed {seed}"
            for seed, pair in pairs[domain].items()
            if isinstance(pair, Pair) and isinstance(found[seed], Undefined)
        ]
    notes = [_FREE]
    if without:
        notes.append(
            "both learners have no common accuracy above base + evolved prompt (or it is unknown): "
            f"{', '.join(without)}"
        )
    wide = _wide(pairs, plan)
    return Added((*details, *wide.details), (*notes, *wide.notes))


def seed_prompt(data: Data, plan: Plan) -> Added:
    """3b: without narrow ranges, and where fast-slow training is never above the base."""
    pairs = pairs_of(data, plan, "seed")
    wide = _wide(pairs, plan)
    return Added(wide.details, (*wide.notes, *_never_above(pairs)))


def _above_base(
    data: Data, plan: Plan, domain: str, seed: int, pair: Pair | Undefined
) -> Matched | Undefined:
    if isinstance(pair, Undefined):
        return pair
    base = data.cell_accuracy(plan.single(domain, "fst", seed), domain, weights="base")
    if isinstance(base, Undefined):
        return base
    low, high = common_range(pair)
    low = max(low, base)
    if high <= low:
        return Undefined(f"no common accuracies above {low:.4g}")
    return match(pair, np.linspace(low, high, LEVELS + 1)[1:])


def _wide(pairs: Pairs, plan: Plan) -> Added:
    """The mean over domains without pairs whose common range is narrow."""
    narrow = {
        (domain, seed)
        for domain, by_seed in pairs.items()
        for seed, pair in by_seed.items()
        if isinstance(pair, Pair) and 0 < _width(pair) < NARROW
    }
    if not narrow:
        return Added()
    run = sum(isinstance(pair, Pair) for by_seed in pairs.values() for pair in by_seed.values())
    ratios = {seed: _mean(pairs, seed, narrow) for seed in plan.seeds}
    what = f"mean over domains, without common ranges under {100 * NARROW:g} points"
    note = f"{len(narrow)} of {run} pairs of runs have a common range under {100 * NARROW:g} points"
    return Added((detail(what, {"ratio": ratios}, scale="ratio"),), (note,))


def _mean(pairs: Pairs, seed: int, narrow: set[tuple[str, int]]) -> float | Undefined:
    ratios = []
    for domain, by_seed in pairs.items():
        pair = by_seed[seed]
        if isinstance(pair, Undefined):
            return Undefined(f"{domain}: {pair.reason}")
        found = match(pair)
        if isinstance(found, Matched) and (domain, seed) not in narrow:
            ratios.append(found.log_ratio)
    return mean(ratios) if ratios else Undefined("no domain has a common range that wide")


def _width(pair: Pair) -> float:
    low, high = common_range(pair)
    return high - low


def _never_above(pairs: Pairs) -> list[str]:
    """The domains on which runs of fast-slow training never beat the base, with how many."""
    told = []
    for domain, by_seed in pairs.items():
        there = [pair for pair in by_seed.values() if isinstance(pair, Pair)]
        never = sum(bool(pair.fst[0].max() <= pair.fst[0][0]) for pair in there)
        told += [f"{domain} ({never} of {len(there)} runs)"] if never else []
    if not told:
        return []
    return [f"under the seed prompt fast-slow training is never above the base: {', '.join(told)}"]
