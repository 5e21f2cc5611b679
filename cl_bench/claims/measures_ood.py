"""Claim 4: what a run was not trained on, at its end and without the evolved prompt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from cl_bench.claims.by_seed import Columns, Value, detail, mean, measured, minus
from cl_bench.claims.measure import Detail, Measured
from cl_bench.claims.measures_continual import stream_metric
from cl_bench.claims.plan import KL_DOMAINS, SINGLE_DOMAINS
from cl_bench.metrics import forgetting_max

if TYPE_CHECKING:
    from cl_bench.claims.data import Data
    from cl_bench.claims.plan import Plan
    from cl_bench.sweep.cell import Cell

DOMAINS = (*KL_DOMAINS, "star-graph")
"""All of the suite's own; a single run is measured on those that it does not train on."""


def outside_accuracy(data: Data, cell: Cell, at: str = "end") -> Value:
    """Mean accuracy of a single run over the five sets that it was not trained on.

    The other four domains under prompts that state each problem's convention, and the trained
    domain's hardest setting under the seed prompt, with equal weight. All five or none: undefined,
    with the set's name, if the run has no rows of one.
    """
    trained = cell.stream
    sets = {
        domain: data.cell_accuracy(cell, domain, at=at, prompt="stated", test_set="retention")
        for domain in DOMAINS
        if domain != trained
    }
    hardest = data.cell_accuracy(cell, trained, at=at, prompt="seed", test_set="harder")
    return mean(sets | {f"{trained}, hardest setting": hardest})


def columns(data: Data, plan: Plan, domain: str, seed: int) -> Columns:
    """The base, both learners and their differences, for one domain and seed.

    The base is step 0 of the fast-slow run, which that of RL equals.
    """
    rl, fst = (plan.single(domain, learner, seed) for learner in ("rl", "fst"))
    base, after_rl = outside_accuracy(data, fst, "start"), outside_accuracy(data, rl)
    after_fst = outside_accuracy(data, fst)
    return {
        "base": base,
        "rl": after_rl,
        "fst": after_fst,
        "fst - rl": minus(after_fst, after_rl),
        "fst - base": minus(after_fst, base),
    }


def against_rl(data: Data, plan: Plan) -> Measured:
    """4a: fast-slow training minus RL, mean over the domains of single runs."""
    return _difference(data, plan, "fst - rl")


def against_base(data: Data, plan: Plan) -> Measured:
    """4b: fast-slow training minus the base, mean over the domains of single runs."""
    return _difference(data, plan, "fst - base")


def forgetting(data: Data, plan: Plan) -> Measured:
    """4c: `forgetting_max` of RL minus that of fast-slow training, on the stream, own prompts."""

    def by_learner(seed: int) -> Columns:
        rl, fst = (
            stream_metric(data, plan.stream(learner, seed), forgetting_max)
            for learner in ("rl", "fst")
        )
        return {"rl": rl, "fst": fst, "difference": minus(rl, fst)}

    line = detail("forgetting on the stream", plan.seeds, by_learner)
    return measured(plan.seeds, lambda seed: by_learner(seed)["difference"], [line])


def _difference(data: Data, plan: Plan, column: str) -> Measured:
    def over_domains(seed: int) -> Value:
        by_domain = {name: columns(data, plan, name, seed)[column] for name in SINGLE_DOMAINS}
        return mean({f"trained on {name}": value for name, value in by_domain.items()})

    return measured(plan.seeds, over_domains, _details(data, plan))


def _details(data: Data, plan: Plan) -> list[Detail]:
    return [
        detail(f"trained on {domain}", plan.seeds, partial(columns, data, plan, domain))
        for domain in SINGLE_DOMAINS
    ]


MEASURES: Mapping[str, Callable[[Data, Plan], Measured]] = {
    "4a": against_rl,
    "4b": against_base,
    "4c": forgetting,
}
