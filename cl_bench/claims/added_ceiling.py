"""Beside claim 9: how many rollouts its two learners spend until their plateaus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean

from cl_bench.claims.added import Added
from cl_bench.claims.measure import BySeed, Curves, detail, trajectory
from cl_bench.claims.plan import SINGLE_DOMAINS, Plan
from cl_bench.metrics.undefined import Undefined

LEARNERS = ("prompt", "fst")


def rollouts(data: Curves, plan: Plan) -> Added:
    """9a: all rollouts of both at the end of their runs."""
    spent = {domain: _spent(data, plan, domain) for domain in SINGLE_DOMAINS}
    details = [
        detail(f"{domain}, all rollouts of a run", values, scale="samples")
        for domain, values in spent.items()
    ]
    totals = [_known([of[name] for of in spent.values()]) for name in LEARNERS]
    if not all(totals):
        return Added(tuple(details))
    prompt, fst = map(mean, totals)
    note = (
        f"9a compares plateaus after unequal costs: about {prompt:,.0f} rollouts of prompt-only "
        f"with {fst:,.0f} of fast-slow training"
    )
    return Added(tuple(details), (note,))


def _known(parts: Sequence[BySeed]) -> list[float]:
    values = [value for part in parts for value in part.values()]
    return [value for value in values if not isinstance(value, Undefined)]


def _spent(data: Curves, plan: Plan, domain: str) -> Mapping[str, BySeed]:
    def last(learner: str, seed: int) -> float | Undefined:
        run = trajectory(data, plan.single(domain, learner, seed), domain, "step", "rollouts")
        return run if isinstance(run, Undefined) else float(run[1][-1])

    return {name: {seed: last(name, seed) for seed in plan.seeds} for name in LEARNERS}
