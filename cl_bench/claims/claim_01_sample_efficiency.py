"""Claim 1: how many times fewer samples fast-slow training needs for RL's own peak."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from math import log2
from typing import TYPE_CHECKING

import numpy as np

from cl_bench.claims import styles
from cl_bench.claims.claim import Claim, Registered, measurement, paper_figure
from cl_bench.claims.measure import (
    Added,
    Detail,
    MeasuredStatement,
    Trajectory,
    defined,
    detail,
    each,
    mean_over,
    measured,
    pairs,
    trajectories,
)
from cl_bench.claims.plan import Plan, singles
from cl_bench.claims.rule import Statement
from cl_bench.metrics import over_seeds, samples_to_reach
from cl_bench.metrics.digits import carried
from cl_bench.metrics.quantities import RATIO, SHARE, percent
from cl_bench.metrics.stats.student import as_ratio
from cl_bench.metrics.undefined import Undefined

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cl_bench.claims.data import Data

REGISTERED = Registered(
    1,
    "sample-efficiency",
    "Fast-slow training needs fewer samples than RL",
    "On single runs, the samples at which RL first reaches its own peak of validation accuracy "
    "(running maximum), divided by the samples at which fast-slow training first reaches that "
    "level. Where it never does, the ratio is RL's samples over all samples of the fast-slow "
    "run: a ratio of at most 1, and one that flatters. Where RL's peak is the base model's "
    "score, the ratio is undefined. Mean of the logarithms over $singles.",
    (paper_figure("times fewer samples", CodeIO="3.0", Math="1.4", HoVer_hard="3.0"),),
    (
        Statement("1a", "ratio of training samples (the paper's axis)", 1.0, 1.1, "ratio"),
        Statement(
            "1b",
            "ratio of all rollouts, the prompt optimiser's included",
            1.0,
            1.1,
            "ratio",
            primary=False,
        ),
    ),
)


TRAINING, ALL = "samples_slow", "rollouts"
"""The axes: training samples, and all rollouts, those of the prompt optimiser included."""
LEARNERS = ("rl", "fst")


@dataclass(frozen=True)
class Race:
    """RL and fast-slow training of one seed on the way to RL's peak."""

    level: float
    """RL's peak of accuracy, or the share of it that is asked for."""
    rl: float
    """Samples at which RL first is there."""
    fst: float
    """Samples at which fast-slow training first is there; all of its run, if it never is."""
    reached: bool

    @property
    def log_ratio(self) -> float:
        """log2 of RL's samples over those of fast-slow training."""
        return log2(self.rl / self.fst)


Races = Mapping[int, Race | Undefined]
"""By seed."""


def races(data: Data, plan: Plan, domain: str, axis: str = TRAINING, share: float = 1.0) -> Races:
    """The race of every seed on a domain, to RL's peak or to a share of it."""
    rl, fst = (
        trajectories(data, plan.single_runs(domain, name), domain, "accuracy", axis, peaks=True)
        for name in LEARNERS
    )
    return each(pairs(rl, fst), lambda runs: _race(*runs, share))


def _race(rl: Trajectory, fst: Trajectory, share: float) -> Race | Undefined:
    level = share * float(rl[0].max())
    goal = "RL's peak" if share == 1 else f"{percent(share)} of RL's peak"
    at_peak = samples_to_reach(*rl, level)
    if isinstance(at_peak, Undefined):
        return at_peak
    if not at_peak:
        return Undefined(f"{goal} ({SHARE.text(level)}) is the base model's score")
    needed = samples_to_reach(*fst, level)
    if isinstance(needed, Undefined):
        return Race(level, at_peak, float(fst[1][-1]), reached=False)
    if not needed:
        return Undefined(f"fast-slow training is at {goal} ({SHARE.text(level)}) with 0 samples")
    return Race(level, at_peak, needed, reached=True)


def ratio_of_samples(data: Data, plan: Plan, axis: str) -> MeasuredStatement:
    """RL's samples to its peak over those of fast-slow training, mean over domains."""
    found = {domain: races(data, plan, domain, axis) for domain in plan.subject.singles}
    ratios = {domain: each(by_seed, lambda r: r.log_ratio) for domain, by_seed in found.items()}
    details = []
    for domain, by_seed in found.items():
        details.append(detail(domain, {"ratio": ratios[domain]}, "ratio"))
        details.append(_until(domain, by_seed))
    return measured(mean_over(ratios), details, [*_where(data, plan), *_notes(found)])


def _where(data: Data, plan: Plan) -> list[str]:
    """A note if peaks are those of validation problems; test problems are where there are none."""
    sets: set[str] = set()
    for domain in plan.subject.singles:
        for cell in plan.single_runs(domain, "rl").values():
            curve = data.curve(cell, domain, peaks=True)
            sets |= set() if isinstance(curve, Undefined) else set(curve["test_set"])
    return ["peaks are those of validation problems"] if sets == {"validation"} else []


def _until(domain: str, by_seed: Races, goal: str = "RL's peak") -> Detail:
    """The samples of both learners over the seeds with which fast-slow training gets there."""
    there = {s: race for s, race in by_seed.items() if isinstance(race, Race) and race.reached}
    run = len(defined(by_seed))
    what = f"{domain}, until {goal}: FST is there in {len(there)} of {run} runs"
    found: Races = there or dict.fromkeys(by_seed, Undefined(f"no run of FST reached {goal}"))
    values = {"rl": each(found, lambda race: race.rl), "fst": each(found, lambda race: race.fst)}
    return detail(what, values, "samples")


def _notes(found: Mapping[str, Races]) -> list[str]:
    run = [race for by_seed in found.values() for race in defined(by_seed)]
    short = sum(not race.reached for race in run)
    if not short:
        return []
    count = f"{short} of {len(run)} runs of fast-slow training"
    return [f"{count} never reached RL's peak and count with all their samples, which flatters"]


# Added after the runs, beside the judged values

SHARES = (0.9, 0.95)


def nearly(data: Data, plan: Plan, axis: str) -> Added:
    """The ratio and samples for reaching only most of RL's peak."""
    details = []
    for domain in plan.subject.singles:
        for share in SHARES:
            found = races(data, plan, domain, axis, share)
            ratio = {"ratio": each(found, lambda race: race.log_ratio)}
            level = f"{percent(share)} of RL's peak"
            details.append(detail(f"{domain}, {level}", ratio, "ratio"))
            details.append(_until(domain, found, level))
    return Added(tuple(details))


# The figure


def draw(data: Data, plan: Plan) -> Figure:
    """One panel per domain; the ratio is the measured one, of all seeds that have one."""

    def draw_domain(axes: Axes, domain: str) -> None:
        for learner in LEARNERS:
            cells = plan.single_runs(domain, learner)
            runs = trajectories(data, cells, domain, TRAINING, peaks=True)
            best = each(runs, lambda run: (run[0], np.maximum.accumulate(run[1])))
            styles.curves(axes, learner, best)
        _arrows(axes, defined(races(data, plan, domain)))

    arrow = styles.handle("to RL's peak, a seed", color=styles.DARK, marker="<", lw=0.8, ms=4)
    return styles.panels(
        plan.subject.singles,
        draw_domain,
        across="training samples",
        upwards="best accuracy so far, own prompt",
        learners=LEARNERS,
        handles=[arrow],
    )


def _arrows(axes: Axes, found: list[Race]) -> None:
    """Every seed from RL's samples to those of fast-slow training, at the level of RL's peak.

    In the corner stands the measured ratio, the geometric mean; it is a bound where a run of
    fast-slow training never gets there and its arrow ends with the run.
    """
    if not found:
        return
    arrow = {"arrowstyle": "-|>", "color": styles.DARK, "lw": 0.8, "shrinkA": 0, "shrinkB": 0}
    for race in found:
        axes.annotate(
            "", xy=(race.fst, race.level), xytext=(race.rl, race.level), arrowprops=arrow, zorder=4
        )
    mean = as_ratio(over_seeds({place: race.log_ratio for place, race in enumerate(found)}))
    if isinstance(mean, Undefined):
        return
    short = sum(not race.reached for race in found)
    ratio = carried(RATIO, mean, 1.0).text(mean.value)
    said = f"RL ÷ FST: {ratio}"
    if short:
        said = f"RL ÷ FST: at most {ratio}\n(FST never there: {short} of {len(found)})"
    axes.text(0.97, 0.04, said, transform=axes.transAxes, ha="right", va="bottom")


CLAIM = Claim(
    REGISTERED,
    runs=singles(LEARNERS),
    measurements={
        "1a": measurement(
            "RL ÷ FST, training samples to RL's peak",
            ratio_of_samples,
            partial(nearly, axis=TRAINING),
            axis=TRAINING,
        ),
        "1b": measurement(
            "RL ÷ FST, all rollouts to RL's peak",
            ratio_of_samples,
            partial(nearly, axis=ALL),
            axis=ALL,
        ),
    },
    figure=draw,
)
