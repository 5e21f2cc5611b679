"""Ablations of single runs: what of the claims is the learning rate's, or the population's?

Calibration chose a higher rate for RL than for fast-slow training, and a population is refilled
with prompts that may be worthless. Both are varied where single domains decide claims. Only
descriptive, as all ablations.
"""

from __future__ import annotations

from cl_bench.claims.ablations import SEEDS, Variation
from cl_bench.claims.plan import KL_DOMAINS, Plan
from cl_bench.sweep.cell import Cell

ZERO_REWARD = "star-graph"
RATES = (
    Variation("rl, rate 6e-4", "is the higher rate its strength?", "rl", {"learning_rate": 6e-4}),
    Variation("rl, rate 3e-4", "the rate of fst", "rl", {"learning_rate": 3e-4}),
)
CALIBRATED = (Variation("fst", "as calibrated"), Variation("rl", "as calibrated", "rl"))
WITHOUT_REWARD = (
    Variation("no refill", "do worthless prompts hold it back?", options={"refill": False}),
    Variation("fst, rate 9e-4", "or its lower rate?", options={"learning_rate": 9e-4}),
)


def variations(domain: str) -> tuple[Variation, ...]:
    """What is compared on a domain, the calibrated learners first."""
    return (*CALIBRATED, *RATES, *(WITHOUT_REWARD if domain == ZERO_REWARD else ()))


def cells(plan: Plan) -> list[Cell]:
    """The runs, seed by seed; some are the claims' own."""
    domains = (ZERO_REWARD, *KL_DOMAINS)
    return [
        cell(plan, domain, change, seed)
        for seed in plan.seeds[:SEEDS]
        for domain in domains
        for change in variations(domain)
    ]


def cell(plan: Plan, domain: str, variation: Variation, seed: int) -> Cell:
    """The run of a variation on a domain."""
    return plan.single(domain, variation.learner, seed, **variation.options)
