"""Claim 5: what fresh RL on the probe's domain reaches from models that were trained before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from cl_bench.claims.by_seed import Columns, Value, detail, mean, measured, minus
from cl_bench.claims.measure import Detail, Measured
from cl_bench.claims.plan import ORIGINS, PROBE
from cl_bench.metrics import plasticity_ratio
from cl_bench.metrics.bootstrap import Estimate
from cl_bench.metrics.undefined import Undefined

if TYPE_CHECKING:
    from cl_bench.claims.data import Data
    from cl_bench.claims.plan import Plan

LEARNERS = ("rl", "fst")
"""Whose models the probes start from, besides the base."""


def columns(data: Data, plan: Plan, origin: str, seed: int) -> Columns:
    """What the probe reaches from the base and after each learner on `origin`, for one seed.

    Accuracy at the probe's end under the seed prompt. The probe from the base is one run for all
    origins.
    """
    starts = {
        "base": None,
        **{learner: plan.single(origin, learner, seed) for learner in LEARNERS},
    }
    reached = {
        name: data.cell_accuracy(plan.probe(start, seed), PROBE, prompt="seed")
        for name, start in starts.items()
    }
    return reached | {
        "fst - rl": minus(reached["fst"], reached["rl"]),
        "fst - base": minus(reached["fst"], reached["base"]),
    }


def against_rl(data: Data, plan: Plan) -> Measured:
    """5a: from fast-slow training minus from RL, mean over the origins."""
    return _difference(data, plan, "fst - rl")


def against_base(data: Data, plan: Plan) -> Measured:
    """5b: from fast-slow training minus from the base, mean over the origins."""
    return _difference(data, plan, "fst - base")


def _difference(data: Data, plan: Plan, column: str) -> Measured:
    def over_origins(seed: int) -> Value:
        by_origin = {name: columns(data, plan, name, seed)[column] for name in ORIGINS}
        return mean({f"after {name}": value for name, value in by_origin.items()})

    details = [line for origin in ORIGINS for line in _details(data, plan, origin)]
    return measured(plan.seeds, over_origins, details)


def _details(data: Data, plan: Plan, origin: str) -> list[Detail]:
    of_seed = partial(columns, data, plan, origin)
    rows = [of_seed(seed) for seed in plan.seeds]
    ratios = {learner: _ratio(rows, learner) for learner in LEARNERS}
    return [
        detail(f"after {origin}", plan.seeds, of_seed),
        Detail(f"after {origin}, over what the base reaches", ratios, "ratio"),
    ]


def _ratio(rows: Sequence[Columns], learner: str) -> Estimate | Undefined:
    """The plasticity ratio over the seeds that have both probes; a ratio of means."""
    pairs = []
    for row in rows:
        after, base = row[learner], row["base"]
        if not isinstance(after, Undefined) and not isinstance(base, Undefined):
            pairs.append((after, base))
    if not pairs:
        return Undefined("no seed has both probes")
    after_S, base_S = zip(*pairs, strict=True)
    ratio = plasticity_ratio(after_S, base_S)
    if isinstance(ratio, Undefined):
        return ratio
    interval = Undefined("a ratio of means over seeds, given without an interval")
    return Estimate(ratio, interval, len(pairs), len(rows))


MEASURES: Mapping[str, Callable[[Data, Plan], Measured]] = {
    "5a": against_rl,
    "5b": against_base,
}
