"""Claim 5: what fresh RL on the probe's domain reaches from models that were trained before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from cl_bench.claims.measure import (
    BySeed,
    Detail,
    Measured,
    detail,
    difference,
    generator,
    mean_over,
    measured,
)
from cl_bench.claims.plan import ORIGINS, PROBE, Plan
from cl_bench.metrics import plasticity_ratio
from cl_bench.metrics.stats.bootstrap import Estimate
from cl_bench.metrics.undefined import Undefined

if TYPE_CHECKING:
    from cl_bench.claims.data import Data
    from cl_bench.sweep.cell import Cell

LEARNERS = ("rl", "fst")
"""Whose models the probes start from, besides the base."""


def against_rl(data: Data, plan: Plan) -> Measured:
    """5a: from fast-slow training minus from RL, mean over the origins."""
    return _measure(data, plan, "difference")


def against_base(data: Data, plan: Plan) -> Measured:
    """5b: from fast-slow training minus from the base, mean over the origins."""
    return _measure(data, plan, "difference to base")


def compared(data: Data, plan: Plan, origin: str) -> Mapping[str, BySeed]:
    """What the probe reaches from the base and after each learner on `origin`, and differences.

    The probe from the base is one run for all origins.
    """
    base = reached(data, plan, lambda _: None)
    rl = reached(data, plan, lambda seed: plan.single(origin, "rl", seed))
    fst = reached(data, plan, lambda seed: plan.single(origin, "fst", seed))
    differences = {"difference": difference(fst, rl), "difference to base": difference(fst, base)}
    return {"base": base, "rl": rl, "fst": fst, **differences}


def reached(data: Data, plan: Plan, start: Callable[[int], Cell | None]) -> BySeed:
    """Accuracy of the probes from each seed's start at their end, under the seed prompt."""
    probes = {seed: plan.probe(start(seed), seed) for seed in plan.seeds}
    return {seed: data.cell_accuracy(cell, PROBE, prompt="seed") for seed, cell in probes.items()}


def _measure(data: Data, plan: Plan, column: str) -> Measured:
    rng = generator()
    found = {f"after {origin}": compared(data, plan, origin) for origin in ORIGINS}
    details = []
    for what, values in found.items():
        ratios = {learner: _ratio(values[learner], values["base"]) for learner in LEARNERS}
        details.append(detail(what, values, rng))
        details.append(Detail(f"{what}, plasticity ratio", ratios, "ratio"))
    return measured(mean_over({w: values[column] for w, values in found.items()}), details, rng)


def _ratio(after: BySeed, base: BySeed) -> Estimate | Undefined:
    """The plasticity ratio over the seeds that have both probes."""
    pairs = []
    for seed, value in after.items():
        from_base = base[seed]
        if not isinstance(value, Undefined) and not isinstance(from_base, Undefined):
            pairs.append((value, from_base))
    if not pairs:
        return Undefined("no seed has both probes")
    after_S, base_S = zip(*pairs, strict=True)
    ratio = plasticity_ratio(after_S, base_S)
    if isinstance(ratio, Undefined):
        return ratio
    return Estimate(ratio, Undefined("a ratio of means over seeds"), len(pairs), len(after))


MEASURES: Mapping[str, Callable[[Data, Plan], Measured]] = {
    "5a": against_rl,
    "5b": against_base,
}
