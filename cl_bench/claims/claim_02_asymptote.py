"""Claim 2: where fast-slow training and RL are heading, by fitted curves and by plateaus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from cl_bench.claims import styles
from cl_bench.claims.claim import Claim, Measurement, Registered, paper_figure
from cl_bench.claims.measure import (
    Added,
    Curves,
    Detail,
    MeasuredStatement,
    Trajectory,
    detail,
    generator,
    trajectories,
    trajectory,
)
from cl_bench.claims.plan import SINGLE_DOMAINS, Plan, singles
from cl_bench.claims.plateau import compare_plateaus, levels
from cl_bench.claims.rule import Statement
from cl_bench.claims.styles import called
from cl_bench.metrics import asymptote_difference
from cl_bench.metrics.arrays import Array
from cl_bench.metrics.quantities import SHARE
from cl_bench.metrics.scaling import Asymptote, AsymptoteDifference
from cl_bench.metrics.stats.bootstrap import ONE_SEED, Estimate, Interval
from cl_bench.metrics.undefined import Undefined

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REGISTERED = Registered(
    2,
    "asymptote",
    "Fast-slow training approaches a higher asymptote than RL",
    "R − R0 = (A − R0) / (1 + (C_mid / C)^B), C the training samples, is fitted to the mean "
    "trajectory over seeds of single runs (own prompt); A of fast-slow training minus A of RL, "
    "mean over facts, code and math. A fit is undefined when A lies at a bound, or more than "
    "0.1 above the best accuracy that the mean trajectory reached: that is extrapolation. With "
    "an undefined fit there is no mean. The interval is the bootstrap over seeds, paired.",
    (
        paper_figure("asymptote, FST", CodeIO="47.4", Math="49.2", HoVer_hard="25.0"),
        paper_figure("asymptote, RL", CodeIO="43.0", Math="46.4", HoVer_hard="17.3"),
    ),
    (
        Statement("2a", "A of fast-slow training minus A of RL", 0.0, 0.02),
        Statement(
            "2b",
            "plateau of fast-slow training minus plateau of RL, own prompts",
            0.0,
            0.02,
        ),
    ),
)


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


def asymptote_above_rl(data: Curves, plan: Plan) -> MeasuredStatement:
    """2a: A of fast-slow training minus A of RL.

    Undefined unless all fits are defined and none extrapolates by more than `FARTHEST`. Only seeds
    count that have the runs of both learners on all domains, because one draw of seeds serves them
    all.
    """
    fits = fit(data, plan)
    if isinstance(fits, Undefined):
        return MeasuredStatement({}, fits, ())
    total = len(plan.seeds)
    details = tuple(_detail(fits, *numbered, total) for numbered in enumerate(SINGLE_DOMAINS))
    faults = _faults(fits)
    mean = Undefined(_grouped(faults)) if faults else fits.found.mean
    return MeasuredStatement({}, _of(mean, total), details, tuple(_notes(fits)))


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
        asymptote, seen = SHARE.text(fitted.asymptote), SHARE.text(best)
        return f"A = {asymptote} extrapolates from the best mean accuracy, {seen}"
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
        share = f"{SHARE.text(fits.found.on_bound)} of the fits behind the interval"
        notes.append(f"{share} have their asymptote at a bound, the start or 100 %")
    return notes


def _told(left_out: Mapping[int, str]) -> list[str]:
    return [f"seed {seed} is left out: {reason}" for seed, reason in left_out.items()]


def plateau_above_rl(data: Curves, plan: Plan) -> MeasuredStatement:
    """2b: accuracy, fast-slow training minus RL."""
    return compare_plateaus(data, plan, SINGLE_DOMAINS, ("fst", "rl"))


# Added after the runs, beside the judged values


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


# The figure

_BEYOND = 1.35
"""How far the fitted curves are drawn, in lengths of the run."""


def draw(data: Curves, plan: Plan) -> Figure:
    """One panel per domain; a dashed line is an asymptote, the bar at its end its interval."""
    from matplotlib.lines import Line2D

    fits = fit(data, plan)
    with styles.sheet(1, len(SINGLE_DOMAINS), sharey=True) as (figure, panels):
        for place, (axes, domain) in enumerate(zip(panels, SINGLE_DOMAINS, strict=True)):
            axes.set_title(domain)
            axes.set_xlabel("training samples")
            if isinstance(fits, Undefined):
                _draw_runs(axes, data, plan, domain)
            else:
                _draw_domain(axes, fits, place)
        panels[0].set_ylabel("accuracy, own prompt")
        styles.finish(panels)
        dashed = Line2D([], [], color="#555555", dashes=(4, 2), lw=1.2, label="asymptote")
        bar = Line2D(
            [], [], color="#555555", lw=3, alpha=0.6, label="its 95 % interval (at the end)"
        )
        styles.legend(figure, ("rl", "fst"), [dashed, bar], band=False)
        return figure


def _draw_runs(axes: Axes, data: Curves, plan: Plan, domain: str) -> None:
    """What is there where nothing can be fitted."""
    for learner in ("rl", "fst"):
        runs = trajectories(data, plan, domain, learner, "samples_slow")
        styles.curves(axes, learner, runs, band=False)


def _draw_domain(axes: Axes, fits: Fits, place: int) -> None:
    both = (("rl", fits.rl, fits.found.second_J), ("fst", fits.fst, fits.found.first_J))
    for line, (learner, (acc_J_S_P, samples_P), fitted_J) in enumerate(both):
        colour, end = styles.colour(learner), samples_P[-1] * _BEYOND
        for acc_P in acc_J_S_P[place]:
            axes.plot(samples_P, acc_P, color=colour, lw=0.6, alpha=0.3)
        mean_P = acc_J_S_P[place].mean(axis=0)
        axes.plot(samples_P, mean_P, color=colour, marker=styles.marker(learner), ls="none")
        fitted = fitted_J[place]
        said = f"{styles.label(learner)}: no asymptote"
        if isinstance(fitted, Asymptote):
            said = f"{styles.label(learner)}: A = {SHARE.text(fitted.asymptote)}"
            _draw_fit(axes, fitted, colour, end * (1 + 0.03 * line), seeds=len(fits.seeds))
        axes.text(
            0.97, 0.12 - 0.09 * line, said, transform=axes.transAxes, ha="right", color=colour
        )


def _draw_fit(axes: Axes, fitted: Asymptote, colour: str, end: float, seeds: int) -> None:
    spent = np.linspace(0, end, 200)
    axes.plot(spent, fitted.at(spent), color=colour)
    axes.axhline(fitted.asymptote, color=colour, dashes=(4, 2), lw=1.2)
    if seeds > 1:
        axes.plot([end, end], [fitted.low, fitted.high], color=colour, lw=3, alpha=0.6)


CLAIM = Claim(
    REGISTERED,
    runs=singles(SINGLE_DOMAINS, ("rl", "fst")),
    measurements={
        "2a": Measurement("FST − RL, fitted asymptote", asymptote_above_rl, undecided),
        "2b": Measurement("FST − RL, plateau", plateau_above_rl, headroom),
    },
    figure=draw,
)
