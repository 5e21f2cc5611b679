"""Claim 2a: where the fitted curves of fast-slow training and RL are heading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cl_bench.claims.measure import Curves, Detail, Measured, Trajectory, generator, trajectory
from cl_bench.claims.plan import SINGLE_DOMAINS, Plan
from cl_bench.claims.styles import called
from cl_bench.metrics import asymptote_difference
from cl_bench.metrics.arrays import Array
from cl_bench.metrics.scaling import Asymptote, AsymptoteDifference
from cl_bench.metrics.stats.bootstrap import ONE_SEED, Estimate, Interval
from cl_bench.metrics.undefined import Undefined

_LEVEL = 0.95
FARTHEST = 0.1
"""Accuracy by which A may exceed the best of the mean trajectory and still be called measured."""


@dataclass(frozen=True, eq=False)
class Fits:
    """The curves of fast-slow training and RL and what was fitted to their means."""

    seeds: tuple[int, ...]
    """Those that have all runs."""
    left_out: Mapping[int, str]
    """The other seeds, with the reason."""
    fst: tuple[Array, Array]
    """Accuracies, domain × seed × evaluation, and the training samples of the evaluations."""
    rl: tuple[Array, Array]
    found: AsymptoteDifference


def asymptote_above_rl(data: Curves, plan: Plan) -> Measured:
    """2a: A of fast-slow training minus A of RL.

    Undefined unless all fits are defined and none extrapolates by more than `FARTHEST`. Only seeds
    count that have the runs of both learners on all domains, because one draw of seeds serves them
    all.
    """
    fits = fit(data, plan)
    if isinstance(fits, Undefined):
        return Measured({}, fits, ())
    total = len(plan.seeds)
    details = tuple(_detail(fits, *numbered, total) for numbered in enumerate(SINGLE_DOMAINS))
    faults = _faults(fits)
    mean = Undefined(_grouped(faults)) if faults else fits.found.mean
    return Measured({}, _of(mean, total), details, tuple(_notes(fits)))


def _faults(fits: Fits) -> Mapping[str, Mapping[str, list[str]]]:
    """Why fits do not count: by reason and domain the learners."""
    faults: dict[str, dict[str, list[str]]] = {}
    for learner, (acc_J_S_P, _), fitted_J in (
        ("fst", fits.fst, fits.found.first_J),
        ("rl", fits.rl, fits.found.second_J),
    ):
        for domain, acc_S_P, fitted in zip(SINGLE_DOMAINS, acc_J_S_P, fitted_J, strict=True):
            fault = _fault(fitted, float(acc_S_P.mean(axis=0).max()))
            if fault:
                faults.setdefault(fault, {}).setdefault(domain, []).append(called(learner))
    return faults


def _grouped(faults: Mapping[str, Mapping[str, list[str]]]) -> str:
    """Every reason once, with the curves that it is about."""
    told = []
    for fault, by_domain in faults.items():
        curves = [f"{domain} {' and '.join(names)}" for domain, names in by_domain.items()]
        told.append(f"{fault} ({', '.join(curves)})")
    return "; ".join(told)


def _fault(fitted: Asymptote | Undefined, best: float) -> str:
    """Why a fit does not show where the curve ends; empty if it does."""
    if isinstance(fitted, Undefined):
        return fitted.reason
    if fitted.asymptote > best + FARTHEST:
        return f"A = {fitted.asymptote:.3f} extrapolates from the best mean accuracy, {best:.3f}"
    return ""


def fit(data: Curves, plan: Plan) -> Fits | Undefined:
    """The fits on all domains; undefined if no seed has all its runs."""
    runs = {
        (name, domain, seed): trajectory(
            data, plan.single(domain, name, seed), domain, "accuracy", "samples_slow"
        )
        for seed in plan.seeds
        for domain in SINGLE_DOMAINS
        for name in ("fst", "rl")
    }
    left_out: dict[int, str] = {}
    for (_, domain, seed), run in runs.items():
        if isinstance(run, Undefined):
            left_out.setdefault(seed, f"{domain}: {run.reason}")
    seeds = tuple(seed for seed in plan.seeds if seed not in left_out)
    if not seeds:
        return Undefined(f"no seed has all its runs; {_told(left_out)[0]}")
    there = {key: run for key, run in runs.items() if not isinstance(run, Undefined)}
    fst, rl = (_stacked(there, name, seeds) for name in ("fst", "rl"))
    if isinstance(fst, Undefined):
        return fst
    if isinstance(rl, Undefined):
        return rl
    found = asymptote_difference(*fst, *rl, generator(), level=_LEVEL)
    return found if isinstance(found, Undefined) else Fits(seeds, left_out, fst, rl, found)


def _stacked(
    runs: Mapping[tuple[str, str, int], Trajectory], learner: str, seeds: Sequence[int]
) -> tuple[Array, Array] | Undefined:
    """A learner's accuracies, domain × seed × evaluation, and the samples that all runs share."""
    by_domain = [[runs[learner, domain, seed] for seed in seeds] for domain in SINGLE_DOMAINS]
    samples_P = by_domain[0][0][1]
    if any(not np.array_equal(run[1], samples_P) for row in by_domain for run in row):
        return Undefined(f"runs of {learner} were evaluated at different numbers of samples")
    return np.array([[acc_P for acc_P, _ in row] for row in by_domain]), samples_P


def _detail(fits: Fits, place: int, domain: str, total: int) -> Detail:
    count = len(fits.seeds)
    values = {
        "fst": _level(fits.found.first_J[place], count),
        "rl": _level(fits.found.second_J[place], count),
        "difference": fits.found.difference_J[place],
    }
    return Detail(domain, {name: _of(value, total) for name, value in values.items()}, "accuracy")


def _level(fitted: Asymptote | Undefined, seeds: int) -> Estimate | Undefined:
    """A with its interval over seeds; that of one seed is over residuals and not shown."""
    if isinstance(fitted, Undefined):
        return fitted
    interval = Interval(fitted.low, fitted.high, _LEVEL) if seeds > 1 else ONE_SEED
    return Estimate(fitted.asymptote, interval, seeds, seeds)


def _of(estimate: Estimate | Undefined, total: int) -> Estimate | Undefined:
    return estimate if isinstance(estimate, Undefined) else replace(estimate, of_seeds=total)


def _notes(fits: Fits) -> list[str]:
    notes = _told(fits.left_out)
    if fits.found.on_bound:
        share = f"{fits.found.on_bound:.1%} of the fits behind the interval"
        notes.append(f"{share} have their asymptote at a bound, the start or 100 %")
    return notes


def _told(left_out: Mapping[int, str]) -> list[str]:
    return [f"seed {seed} is left out: {reason}" for seed, reason in left_out.items()]
