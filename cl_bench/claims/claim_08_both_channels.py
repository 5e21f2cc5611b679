"""Claim 8: what trained parameters and evolved prompts gain, alone and together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from cl_bench.claims.measure import BySeed, Measured, detail, generator, mean_over, measured
from cl_bench.claims.plan import SINGLE_DOMAINS, Plan
from cl_bench.metrics import channel_attribution
from cl_bench.metrics.undefined import Undefined

if TYPE_CHECKING:
    from cl_bench.claims.data import Data

WEIGHTS = ("base", "trained")
PROMPTS = {"seed": "seed", "evolved": "learner"}
"""Names of the prompts, and what the tables call them."""
GAINS = ("slow", "fast", "joint", "interaction", "difference to the better")


def slow(data: Data, plan: Plan) -> Measured:
    """8a: trained parameters alone, under the seed prompt."""
    return _measure(data, plan, "slow")


def fast(data: Data, plan: Plan) -> Measured:
    """8b: the evolved prompt alone, with the base's parameters."""
    return _measure(data, plan, "fast")


def both(data: Data, plan: Plan) -> Measured:
    """8c: both minus the better of the two alone, seed by seed and domain by domain."""
    return _measure(data, plan, "difference to the better")


def accuracies(data: Data, plan: Plan, domain: str) -> Mapping[str, BySeed]:
    """The 2x2 at the end of fast-slow training: `base + seed` to `trained + evolved`."""
    cells = {seed: plan.single(domain, "fst", seed) for seed in plan.seeds}
    return {
        f"{weights} + {name}": {
            seed: data.cell_accuracy(cell, domain, prompt=prompt, weights=weights)
            for seed, cell in cells.items()
        }
        for weights in WEIGHTS
        for name, prompt in PROMPTS.items()
    }


def gains(cells: Mapping[str, BySeed]) -> Mapping[str, BySeed]:
    """What each channel gains over the base under the seed prompt, from the four accuracies.

    `slow`, `fast`, `joint` and `interaction` as in `channel_attribution`, and both channels minus
    the better of the two alone. A seed without one of the four has none of them.
    """
    seeds = next(iter(cells.values()))
    found = {seed: _gains({name: cells[name][seed] for name in cells}) for seed in seeds}
    return {
        gain: {
            seed: row if isinstance(row, Undefined) else row[gain] for seed, row in found.items()
        }
        for gain in GAINS
    }


def _gains(cells: Mapping[str, float | Undefined]) -> Mapping[str, float] | Undefined:
    known = []
    for name, value in cells.items():
        if isinstance(value, Undefined):
            return Undefined(f"{name}: {value.reason}")
        known.append(value)
    found = channel_attribution([known[:2], known[2:]])
    if isinstance(found, Undefined):
        return found
    better = found.joint - max(found.slow, found.fast)
    values = (found.slow, found.fast, found.joint, found.interaction, better)
    return dict(zip(GAINS, values, strict=True))


def _measure(data: Data, plan: Plan, gain: str) -> Measured:
    """The mean of a gain over domains; beside single channels the accuracies, else all gains."""
    rng = generator()
    cells = {domain: accuracies(data, plan, domain) for domain in SINGLE_DOMAINS}
    gained = {domain: gains(of_domain) for domain, of_domain in cells.items()}
    single = gain in ("slow", "fast")
    details = [
        detail(domain, values, rng, "accuracy" if single else "points")
        for domain, values in (cells if single else gained).items()
    ]
    return measured(mean_over({d: values[gain] for d, values in gained.items()}), details, rng)


MEASURES: Mapping[str, Callable[[Data, Plan], Measured]] = {"8a": slow, "8b": fast, "8c": both}
