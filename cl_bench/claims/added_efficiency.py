"""Beside claim 1: the samples until most of RL's peak, where the peak itself is the ceiling."""

from __future__ import annotations

from cl_bench.claims.added import Added
from cl_bench.claims.claim_01_sample_efficiency import ALL, TRAINING, each, races, until
from cl_bench.claims.measure import Curves, detail
from cl_bench.claims.plan import SINGLE_DOMAINS, Plan

SHARES = (0.9, 0.95)


def training_samples(data: Curves, plan: Plan) -> Added:
    """1a: on the paper's axis."""
    return _nearly(data, plan, TRAINING)


def all_rollouts(data: Curves, plan: Plan) -> Added:
    """1b: with the prompt optimiser's rollouts."""
    return _nearly(data, plan, ALL)


def _nearly(data: Curves, plan: Plan, axis: str) -> Added:
    details = []
    for domain in SINGLE_DOMAINS:
        for share in SHARES:
            found = races(data, plan, domain, axis, share)
            ratio = {"ratio": each(found, lambda race: race.log_ratio)}
            level = f"{share:.0%} of RL's peak"
            details.append(detail(f"{domain}, {level}", ratio, scale="ratio"))
            details.append(until(domain, found, level))
    return Added(tuple(details))
