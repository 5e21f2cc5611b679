"""Claim 8: what trained parameters and evolved prompts gain, alone and together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from cl_bench.claims.by_seed import Columns, Value, detail, mean, measured
from cl_bench.claims.measure import Measured
from cl_bench.claims.plan import SINGLE_DOMAINS
from cl_bench.metrics import channel_attribution
from cl_bench.metrics.undefined import Undefined

if TYPE_CHECKING:
    from cl_bench.claims.data import Data
    from cl_bench.claims.plan import Plan

WEIGHTS = ("base", "trained")
PROMPTS = {"seed": "seed", "evolved": "learner"}
"""Names of the prompts, and what the tables call them."""


def accuracies(data: Data, plan: Plan, domain: str, seed: int) -> dict[str, Value]:
    """The 2x2 at the end of fast-slow training: `base + seed` to `trained + evolved`."""
    cell = plan.single(domain, "fst", seed)
    return {
        f"{weights} + {name}": data.cell_accuracy(cell, domain, prompt=prompt, weights=weights)
        for weights in WEIGHTS
        for name, prompt in PROMPTS.items()
    }


def gains(data: Data, plan: Plan, domain: str, seed: int) -> dict[str, Value]:
    """What each channel gains over the base under the seed prompt, for one seed.

    `slow`, `fast`, `joint` and `interaction` as in `channel_attribution`; `over the better`: both
    channels minus the better of the two alone. All are undefined if one of the four cells is.
    """
    names = ("slow", "fast", "joint", "interaction", "over the better")
    cells = []
    for name, value in accuracies(data, plan, domain, seed).items():
        if isinstance(value, Undefined):
            return dict.fromkeys(names, Undefined(f"{name}: {value.reason}"))
        cells.append(value)
    found = channel_attribution([cells[:2], cells[2:]])
    if isinstance(found, Undefined):
        return dict.fromkeys(names, found)
    better = found.joint - max(found.slow, found.fast)
    values = (found.slow, found.fast, found.joint, found.interaction, better)
    return dict(zip(names, values, strict=True))


def slow(data: Data, plan: Plan) -> Measured:
    """8a: trained parameters alone, under the seed prompt."""
    return _gain(data, plan, "slow")


def fast(data: Data, plan: Plan) -> Measured:
    """8b: the evolved prompt alone, with the base's parameters."""
    return _gain(data, plan, "fast")


def both(data: Data, plan: Plan) -> Measured:
    """8c: both minus the better of the two alone, chosen seed by seed and domain by domain."""
    return _gain(data, plan, "over the better")


def _gain(data: Data, plan: Plan, name: str) -> Measured:
    def over_domains(seed: int) -> Value:
        return mean({domain: gains(data, plan, domain, seed)[name] for domain in SINGLE_DOMAINS})

    def columns(domain: str, seed: int) -> Columns:
        return accuracies(data, plan, domain, seed) | gains(data, plan, domain, seed)

    details = [detail(domain, plan.seeds, partial(columns, domain)) for domain in SINGLE_DOMAINS]
    return measured(plan.seeds, over_domains, details)


MEASURES: Mapping[str, Callable[[Data, Plan], Measured]] = {"8a": slow, "8b": fast, "8c": both}
