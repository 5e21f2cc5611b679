"""Claim 2: where fast-slow training and RL are heading, by fitted curves and by plateaus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from cl_bench.claims import styles
from cl_bench.claims.claim import Claim, Registered, measurement, paper_figure
from cl_bench.claims.measure import (
    Added,
    Detail,
    MeasuredStatement,
    Trajectories,
    compare_plateaus,
    defined,
    detail,
    each,
    levels,
    trajectories,
)
from cl_bench.claims.plan import Plan, on_singles, singles
from cl_bench.claims.rule import Statement
from cl_bench.claims.styles import called
from cl_bench.metrics import asymptote_difference
from cl_bench.metrics.arrays import Array
from cl_bench.metrics.quantities import SHARE
from cl_bench.metrics.scaling import Asymptote, AsymptoteDifference
from cl_bench.metrics.stats.student import Estimate, Interval
from cl_bench.metrics.undefined import Undefined

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cl_bench.claims.data import Data

REGISTERED = Registered(
    2,
    "asymptote",
    "Fast-slow training approaches a higher asymptote than RL",
    "R − R0 = (A − R0) / (1 + (C_mid / C)^B), C the training samples, is fitted to the mean "
    "trajectory over seeds of single runs (own prompt); A of fast-slow training minus A of RL, "
    "mean over $singles. A fit is undefined when A lies at a bound, or more than "
    "0.1 above the best accuracy that the mean trajectory reached: that is extrapolation. With "
    "an undefined fit there is no mean. The interval is Student's of the jackknife over seeds, "
    "paired.",
    (
        paper_figure("asymptote, FST", CodeIO="47.4", Math="49.2", HoVer_hard="25.0"),
        paper_figure("asymptote, RL", CodeIO="43.0", Math="46.4", HoVer_hard="17.3"),
    ),
    (
        Statement("2a", "A of fast-slow training minus A of RL", 0.0, 0.02),
        Statement(
            "2b", "plateau of fast-slow training minus plateau of RL, own prompts", 0.0, 0.02
        ),
    ),
)


FARTHEST = 0.1
"""Accuracy by which A may exceed the best of the mean trajectory and still be called measured."""
LEARNERS = ("fst", "rl")


Curves = tuple[Array, Array]
"""Accuracies, domain × seed × evaluation, and the training samples that all runs share."""


@dataclass(frozen=True, eq=False)
class Fits:
    """The curves of fast-slow training and RL and what was fitted to their means."""

    domains: tuple[str, ...]
    seeds: tuple[int, ...]
    """Those that have all runs."""
    left_out: Mapping[int, str]
    """The other seeds, with the reason."""
    curves: Mapping[str, Curves]
    """By learner."""
    found: AsymptoteDifference

    @property
    def fitted(self) -> Mapping[str, Sequence[Asymptote | Undefined]]:
        """By learner the fits on all domains."""
        return {"fst": self.found.first_J, "rl": self.found.second_J}


def asymptote_above_rl(data: Data, plan: Plan) -> MeasuredStatement:
    """A of fast-slow training minus A of RL.

    Undefined unless all fits are defined and none extrapolates by more than `FARTHEST`. Only seeds
    count that have the runs of both learners on all domains, because a seed is left out of all at
    once.
    """
    fits = fit(data, plan)
    if isinstance(fits, Undefined):
        return MeasuredStatement({}, fits, ())
    total = len(plan.seeds)
    details = tuple(_detail(fits, *numbered, total) for numbered in enumerate(fits.domains))
    faults = _faults(fits)
    mean = Undefined(faults) if faults else fits.found.mean
    return MeasuredStatement({}, _of(mean, total), details, tuple(_notes(fits)))


def _faults(fits: Fits) -> str:
    """Every reason for which fits do not count, with the curves that it is about; empty if all
    count."""
    faults: dict[str, dict[str, list[str]]] = {}
    for learner, fitted_J in fits.fitted.items():
        best_J = fits.curves[learner][0].mean(axis=1).max(axis=1)
        for domain, fitted, best in zip(fits.domains, fitted_J, best_J, strict=True):
            fault = _fault(fitted, float(best))
            if fault:
                faults.setdefault(fault, {}).setdefault(domain, []).append(called(learner))
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
        asymptote, seen = SHARE.text(fitted.asymptote), SHARE.text(best)
        return f"A = {asymptote} extrapolates from the best mean accuracy, {seen}"
    return ""


def fit(data: Data, plan: Plan) -> Fits | Undefined:
    """The fits on all domains; undefined if no seed has all its runs."""
    domains = plan.subject.singles
    runs = {
        (domain, name): trajectories(
            data, plan.single_runs(domain, name), domain, "accuracy", "samples_slow"
        )
        for domain in domains
        for name in LEARNERS
    }
    lacking = {seed: _lacking(runs, seed) for seed in plan.seeds}
    left_out = {seed: reason for seed, reason in lacking.items() if reason}
    seeds = tuple(seed for seed in plan.seeds if seed not in left_out)
    if not seeds:
        return Undefined(f"no seed has all its runs; {_told(left_out)[0]}")
    curves = {}
    for learner in LEARNERS:
        stacked = _stacked([runs[domain, learner] for domain in domains], seeds)
        if stacked is None:
            return Undefined(f"runs of {learner} were evaluated at different numbers of samples")
        curves[learner] = stacked
    found = asymptote_difference(*curves["fst"], *curves["rl"])
    return found if isinstance(found, Undefined) else Fits(domains, seeds, left_out, curves, found)


def _lacking(runs: Mapping[tuple[str, str], Trajectories], seed: int) -> str:
    """Why the first of a seed's runs that is missing is; empty if all are there."""
    for (domain, _), by_seed in runs.items():
        run = by_seed[seed]
        if isinstance(run, Undefined):
            return f"{domain}: {run.reason}"
    return ""


def _stacked(by_domain: Sequence[Trajectories], seeds: Sequence[int]) -> Curves | None:
    """The curves of these seeds' runs; None where evaluations are at different samples."""
    runs_J_S = [defined({seed: by_seed[seed] for seed in seeds}) for by_seed in by_domain]
    samples_P = runs_J_S[0][0][1]
    if any(not np.array_equal(run[1], samples_P) for row in runs_J_S for run in row):
        return None
    return np.array([[acc_P for acc_P, _ in row] for row in runs_J_S]), samples_P


def _detail(fits: Fits, place: int, domain: str, total: int) -> Detail:
    count = len(fits.seeds)
    values = {name: _level(fitted_J[place], count) for name, fitted_J in fits.fitted.items()}
    values["difference"] = fits.found.difference_J[place]
    return Detail(domain, {name: _of(value, total) for name, value in values.items()}, "accuracy")


def _level(fitted: Asymptote | Undefined, seeds: int) -> Estimate | Undefined:
    """A with its interval over seeds."""
    if isinstance(fitted, Undefined):
        return fitted
    return Estimate(fitted.asymptote, fitted.interval, seeds, seeds)


def _of(estimate: Estimate | Undefined, total: int) -> Estimate | Undefined:
    return estimate if isinstance(estimate, Undefined) else replace(estimate, of_seeds=total)


def _notes(fits: Fits) -> list[str]:
    notes = _told(fits.left_out)
    if fits.found.on_bound:
        share = f"{SHARE.text(fits.found.on_bound)} of the fits behind the interval"
        notes.append(f"{share} have their asymptote at a bound, the start or 100 %")
    return notes


def _told(left_out: Mapping[int, str]) -> list[str]:
    return [f"seed {seed} is left out: {reason}" for seed, reason in left_out.items()]


# Added after the runs, beside the judged values


def undecided(data: Data, plan: Plan) -> Added:
    """Why there is no mean, where a fit lies at its bound."""
    fits = fit(data, plan)
    if isinstance(fits, Undefined):
        return Added()
    found = [fitted for fitted_J in fits.fitted.values() for fitted in fitted_J]
    at_bound = sum(not isinstance(fitted, Asymptote) for fitted in found)
    if not at_bound:
        return Added()
    note = (
        f"{at_bound} of {len(found)} curves do not show where they end: the fit goes as high as it "
        "may, and any asymptote from the last accuracies to that bound fits about as well. As the "
        "rule needs all of them, 2a cannot be decided by runs of this length; 2b needs no fit"
    )
    return Added(notes=(note,))


def headroom(data: Data, plan: Plan) -> Added:
    """How far RL's plateau is below 100 %, the most that anything can be above it."""
    details = []
    for domain in plan.subject.singles:
        rl = levels(data, plan.single_runs(domain, "rl"), domain)
        values = {"rl": rl, "headroom": each(rl, lambda value: 1 - value)}
        details.append(detail(f"{domain}, plateau, and headroom above RL's to 100 %", values))
    return Added(tuple(details))


# The figure

_BEYOND = 1.35
"""How far the fitted curves are drawn, in lengths of the run."""


def draw(data: Data, plan: Plan) -> Figure:
    """One panel per domain; a dashed line is an asymptote, the bar at its end its interval."""
    fits = fit(data, plan)

    def draw_domain(axes: Axes, domain: str) -> None:
        if isinstance(fits, Undefined):
            for learner in ("rl", "fst"):
                runs = trajectories(data, plan.single_runs(domain, learner), domain, "samples_slow")
                styles.curves(axes, learner, runs, band=False)
        else:
            _draw_fits(axes, fits, fits.domains.index(domain))

    said = "its 95 % interval (at the end)"
    return styles.panels(
        plan.subject.singles,
        draw_domain,
        across="training samples",
        upwards="accuracy, own prompt",
        learners=("rl", "fst"),
        handles=[
            styles.handle("asymptote", color=styles.GREY, **styles.DASHED),
            styles.handle(said, color=styles.GREY, lw=3, alpha=0.6),
        ],
        band=False,
    )


def _draw_fits(axes: Axes, fits: Fits, place: int) -> None:
    for line, learner in enumerate(("rl", "fst")):
        acc_J_S_P, samples_P = fits.curves[learner]
        colour, end = styles.colour(learner), samples_P[-1] * _BEYOND
        for acc_P in acc_J_S_P[place]:
            axes.plot(samples_P, acc_P, color=colour, lw=0.6, alpha=0.3)
        mean_P, marker = acc_J_S_P[place].mean(axis=0), styles.marker(learner)
        axes.plot(samples_P, mean_P, color=colour, marker=marker, ls="none")
        fitted = fits.fitted[learner][place]
        said = f"{styles.label(learner)}: no asymptote"
        if isinstance(fitted, Asymptote):
            said = f"{styles.label(learner)}: A = {SHARE.text(fitted.asymptote)}"
            _draw_fit(axes, fitted, colour, end * (1 + 0.03 * line))
        where = (0.97, 0.12 - 0.09 * line)
        axes.text(*where, said, transform=axes.transAxes, ha="right", color=colour)


def _draw_fit(axes: Axes, fitted: Asymptote, colour: str, end: float) -> None:
    spent = np.linspace(0, end, 200)
    axes.plot(spent, fitted.at(spent), color=colour)
    axes.axhline(fitted.asymptote, color=colour, **styles.DASHED)
    if isinstance(fitted.interval, Interval):
        ends = [fitted.interval.low, fitted.interval.high]
        axes.plot([end, end], ends, color=colour, lw=3, alpha=0.6)


CLAIM = Claim(
    REGISTERED,
    runs=singles(("rl", "fst")),
    measurements={
        "2a": measurement("FST − RL, fitted asymptote", asymptote_above_rl, undecided),
        "2b": measurement(
            "FST − RL, plateau",
            compare_plateaus,
            headroom,
            domains=on_singles,
            learners=("fst", "rl"),
        ),
    },
    figure=draw,
)
