"""Beside claim 2: how much room there is above RL, and why fits at their bound decide nothing."""

from __future__ import annotations

from cl_bench.claims.added import Added
from cl_bench.claims.claim_02_asymptote import fit
from cl_bench.claims.measure import Curves, detail
from cl_bench.claims.plan import SINGLE_DOMAINS, Plan
from cl_bench.claims.plateau import levels
from cl_bench.metrics.scaling import Asymptote
from cl_bench.metrics.undefined import Undefined


def undecided(data: Curves, plan: Plan) -> Added:
    """2a: why there is no mean, where a fit lies at its bound."""
    fits = fit(data, plan)
    if isinstance(fits, Undefined):
        return Added()
    found = (*fits.found.first_J, *fits.found.second_J)
    at_bound = sum(not isinstance(fitted, Asymptote) for fitted in found)
    if not at_bound:
        return Added()
    note = (
        f"{at_bound} of {len(found)} curves do not show where they end: the fit goes as high as it "
        "may, and any asymptote from the last accuracies to that bound fits about as well. As the "
        "rule needs all of them, 2a cannot be decided by runs of this length; 2b needs no fit"
    )
    return Added(notes=(note,))


def headroom(data: Curves, plan: Plan) -> Added:
    """2b: how far RL's plateau is below 100 %, the most that anything can be above it."""
    details = []
    for domain in SINGLE_DOMAINS:
        rl = levels(data, plan, domain, "rl")
        values = {"rl": rl, "headroom": {seed: _above(value) for seed, value in rl.items()}}
        details.append(detail(f"{domain}, plateau, and headroom above RL's to 100 %", values))
    return Added(tuple(details))


def _above(value: float | Undefined) -> float | Undefined:
    return value if isinstance(value, Undefined) else 1 - value
