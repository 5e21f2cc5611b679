"""Claims 2b, 9 and 10: where runs level off, by the mean of their last three evaluations."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cl_bench.claims.measure import (
    BySeed,
    Curves,
    Measured,
    Scale,
    detail,
    difference,
    generator,
    mean_over,
    measured,
    trajectory,
)
from cl_bench.claims.plan import PROBE, SINGLE_DOMAINS, Plan
from cl_bench.metrics.arrays import Array
from cl_bench.metrics.undefined import Undefined

WINDOW = 3
"""Evaluations that a plateau averages, and the middle of a run too."""


def plateau_above_rl(data: Curves, plan: Plan) -> Measured:
    """2b: accuracy, fast-slow training minus RL."""
    return _difference(data, plan, SINGLE_DOMAINS, ("fst", "rl"))


def plateau_above_prompt_only(data: Curves, plan: Plan) -> Measured:
    """9a: accuracy, fast-slow training minus prompt-only."""
    return _difference(data, plan, SINGLE_DOMAINS, ("fst", "prompt"))


def plateau_above_distill(data: Curves, plan: Plan) -> Measured:
    """10a: accuracy, fast-slow training minus FST-distill."""
    return _difference(data, plan, (PROBE,), ("fst", "fst-distill"))


def entropy_above_distill(data: Curves, plan: Plan) -> Measured:
    """10b: token entropy on the test problems, fast-slow training minus FST-distill."""
    return _difference(data, plan, (PROBE,), ("fst", "fst-distill"), "entropy", "nats")


def second_half(data: Curves, plan: Plan) -> Measured:
    """9b: minus what prompt-only gained between the middle and the end of its run."""
    rng = generator()
    losses, details = {}, []
    for domain in SINGLE_DOMAINS:
        middle = levels(data, plan, domain, "prompt", at=middle_window)
        end = levels(data, plan, domain, "prompt")
        losses[domain] = difference(middle, end)
        values = {"middle": middle, "end": end, "gain": difference(end, middle)}
        details.append(detail(f"{domain}, prompt-only", values, rng))
    return measured(mean_over(losses), details, rng)


def last_window(step_P: Array) -> slice | Undefined:
    """Which evaluations are the plateau: the last three."""
    if len(step_P) < WINDOW:
        return Undefined(f"a plateau needs {WINDOW} evaluations, got {len(step_P)}")
    return slice(len(step_P) - WINDOW, len(step_P))


def middle_window(step_P: Array) -> slice | Undefined:
    """Which evaluations are the middle: the one nearest to half of the steps and its neighbours.

    Of two as near it is the earlier. Undefined if one of the three belongs to the plateau.
    """
    nearest = int(np.abs(step_P - step_P[-1] / 2).argmin())
    if nearest < 1 or nearest + 1 >= len(step_P) - WINDOW:
        return Undefined(f"of {len(step_P)} evaluations the middle three are not before the last")
    return slice(nearest - 1, nearest + 2)


def levels(
    data: Curves,
    plan: Plan,
    domain: str,
    learner: str,
    column: str = "accuracy",
    *,
    at: Callable[[Array], slice | Undefined] = last_window,
) -> BySeed:
    """The mean of a column over a window of each single run, under the learner's own prompt."""

    def level(seed: int) -> float | Undefined:
        run = trajectory(data, plan.single(domain, learner, seed), domain, "step", column)
        if isinstance(run, Undefined):
            return run
        window = at(run[0])
        return window if isinstance(window, Undefined) else float(run[1][window].mean())

    return {seed: level(seed) for seed in plan.seeds}


def _difference(
    data: Curves,
    plan: Plan,
    domains: Sequence[str],
    learners: tuple[str, str],
    column: str = "accuracy",
    scale: Scale = "accuracy",
) -> Measured:
    """The plateau of the first learner minus that of the second, mean over domains."""
    rng = generator()
    gains, details = {}, []
    for domain in domains:
        first, second = (levels(data, plan, domain, name, column) for name in learners)
        gains[domain] = difference(first, second)
        values = {learners[0]: first, learners[1]: second, "difference": gains[domain]}
        details.append(detail(domain, values, rng, scale))
    return measured(mean_over(gains), details, rng)
