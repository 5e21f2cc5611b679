"""Claim 3: how far from the base RL and fast-slow training are at the same accuracy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import TYPE_CHECKING

import numpy as np

from cl_bench.analysis.paired import BySeed
from cl_bench.claims import styles
from cl_bench.claims.claim import Claim, Measurement, Registered, paper_figure
from cl_bench.claims.measure import (
    Added,
    Curves,
    Detail,
    MeasuredStatement,
    Trajectory,
    both,
    detail,
    generator,
    measured,
    trajectories,
)
from cl_bench.claims.plan import KL_DOMAINS, Plan, singles
from cl_bench.claims.rule import Statement
from cl_bench.metrics import kl_at_matched_accuracy
from cl_bench.metrics.arrays import Array
from cl_bench.metrics.divergence import LEVELS
from cl_bench.metrics.quantities import SHARE
from cl_bench.metrics.stats.bootstrap import bootstrap_band
from cl_bench.metrics.undefined import Undefined

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cl_bench.claims.data import Data

REGISTERED = Registered(
    3,
    "kl",
    "Fast-slow training stays closer to the base at the same accuracy",
    "KL(policy ‖ base), nats per token over the full vocabulary on responses of the policy to "
    "the test problems, interpolated along single runs at ten accuracies that both learners "
    "reach; RL's sum over fast-slow training's sum, between 1/1024 and 1024. Mean of the "
    "logarithms over those of facts, code, math and physics that have common accuracies.",
    (
        paper_figure("Physics, KL at reward 78", FST="≈ 0.03", RL="≈ 0.08"),
        paper_figure("largest reduction", FST_against_RL="up to 70 % less"),
    ),
    (
        Statement("3a", "times less KL, each under its own prompt", 1.0, 1.1, "ratio"),
        Statement(
            "3b", "times less KL, both under the seed prompt", 1.0, 1.1, "ratio", primary=False
        ),
    ),
)


LARGEST = 10.0
"""log2 of the largest ratio, 1024: what is shown where one of the two never left the base."""


@dataclass(frozen=True)
class RunPair:
    """The trajectories of RL and fast-slow training of one seed: accuracies and KL to the base."""

    rl: Trajectory
    fst: Trajectory


@dataclass(frozen=True)
class Matched:
    """KL(policy ‖ base) at the accuracies that both reach, mean over them, nats per token."""

    rl: float
    fst: float

    @property
    def log_ratio(self) -> float:
        """log2 of RL's over fast-slow training's, between −10 and 10."""
        with np.errstate(divide="ignore"):
            ratio = np.log2(self.rl) - np.log2(self.fst)
        return float(np.clip(ratio, -LARGEST, LARGEST))

    @property
    def clipped(self) -> bool:
        """Whether the ratio is at its bound, or would lie beyond it."""
        return abs(self.log_ratio) >= LARGEST


Pairs = Mapping[str, Mapping[int, RunPair | Undefined]]
"""By domain and seed; undefined where a run is."""
Found = Mapping[str, Mapping[int, Matched | Undefined]]
"""By domain and seed; undefined where a run is, or without common accuracies."""


def own_prompts(data: Curves, plan: Plan) -> MeasuredStatement:
    """3a: each under the prompt that it would be evaluated with."""
    return _measure(data, plan, "learner")


def seed_prompt(data: Curves, plan: Plan) -> MeasuredStatement:
    """3b: both under the seed prompt, accuracies too."""
    return _measure(data, plan, "seed")


def pairs_of(data: Curves, plan: Plan, prompt: str) -> Pairs:
    """The runs of all domains and seeds under a prompt."""
    return {
        domain: {seed: _pair(data, plan, domain, seed, prompt) for seed in plan.seeds}
        for domain in KL_DOMAINS
    }


def common_range(pair: RunPair) -> tuple[float, float]:
    """The lowest and highest accuracy that both reach; there are none if they are not in order."""
    return (
        float(max(pair.rl[0][0], pair.fst[0][0])),
        float(min(pair.rl[0].max(), pair.fst[0].max())),
    )


def match(pair: RunPair, level_L: Array | None = None) -> Matched | Undefined:
    """Both divergences at the common accuracies, or at those given; undefined without any, or if
    both are the base."""
    found = kl_at_matched_accuracy(*pair.rl, *pair.fst, level_L)
    if not isinstance(found, Undefined):
        return Matched(float(found.learner_kl_L.mean()), float(found.reference_kl_L.mean()))
    # Undefined with fast-slow training as the reference where it never left the base, too.
    other = kl_at_matched_accuracy(*pair.fst, *pair.rl, level_L)
    if isinstance(other, Undefined):
        return found
    return Matched(float(other.reference_kl_L.mean()), float(other.learner_kl_L.mean()))


def _measure(data: Curves, plan: Plan, prompt: str) -> MeasuredStatement:
    rng = generator()
    pairs = pairs_of(data, plan, prompt)
    found = {
        domain: {s: p if isinstance(p, Undefined) else match(p) for s, p in by_seed.items()}
        for domain, by_seed in pairs.items()
    }
    value_by_seed, medians = (
        {seed: _value(pairs, found, seed, average) for seed in plan.seeds}
        for average in (mean, median)
    )
    details = [line for domain in KL_DOMAINS for line in _details(domain, found[domain], rng)]
    for name, by_seed in (("mean", value_by_seed), ("median", medians)):
        details.append(detail(f"{name} over domains", {"ratio": by_seed}, rng, "ratio"))
    return measured(value_by_seed, details, rng, _notes(pairs, found))


def _pair(data: Curves, plan: Plan, domain: str, seed: int, prompt: str) -> RunPair | Undefined:
    cells = (plan.single(domain, "rl", seed), plan.single(domain, "fst", seed))
    found = both(data, cells, domain, "accuracy", "kl_policy_base", prompt=prompt)
    return found if isinstance(found, Undefined) else RunPair(*found)


def _value(
    pairs: Pairs, found: Found, seed: int, average: Callable[[Sequence[float]], float]
) -> float | Undefined:
    """The average of the logarithms over the domains with common accuracies; none if a run of any
    domain is missing."""
    for domain, by_seed in pairs.items():
        pair = by_seed[seed]
        if isinstance(pair, Undefined):
            return Undefined(f"{domain}: {pair.reason}")
    ratios = [m.log_ratio for m in (by[seed] for by in found.values()) if isinstance(m, Matched)]
    return average(ratios) if ratios else Undefined("no domain has common accuracies")


def _details(
    domain: str, found: Mapping[int, Matched | Undefined], rng: np.random.Generator
) -> tuple[Detail, Detail]:
    def each(value: Callable[[Matched], float]) -> BySeed:
        return {s: m if isinstance(m, Undefined) else value(m) for s, m in found.items()}

    ratio = {"ratio": each(lambda m: m.log_ratio)}
    kl = {"rl": each(lambda m: m.rl), "fst": each(lambda m: m.fst)}
    return (
        detail(domain, ratio, rng, "ratio"),
        detail(f"{domain}, mean KL at common accuracies", kl, rng, "nats"),
    )


def _notes(pairs: Pairs, found: Found) -> list[str]:
    """How many pairs of runs have nothing to compare, and how many count with the bound."""
    there = [(d, s) for d, by in pairs.items() for s, p in by.items() if isinstance(p, RunPair)]
    without = sum(isinstance(found[domain][seed], Undefined) for domain, seed in there)
    pairs_of_runs = f"of {len(there)} pairs of runs"
    notes = []
    if without:
        notes.append(f"{without} {pairs_of_runs} have no common accuracies and are left out")
    clipped = sum(
        isinstance(m, Matched) and m.clipped for by in found.values() for m in by.values()
    )
    if clipped:
        bound = f"{2**LARGEST:.0f}"
        notes.append(
            f"{clipped} {pairs_of_runs} have a ratio of {bound} or more, or of 1/{bound} or less, "
            "and count with that bound: it weighs in the mean over domains, less in the median"
        )
    return notes


# Added after the runs, beside the judged values

NARROW = 0.05
"""Common range of accuracy below which ten levels are little more than one."""
_NARROW = SHARE.distance.text(NARROW)
_FREE = (
    "the base is asked under the same evolved prompt, so that accuracy which the prompt gains "
    "costs no KL by construction: 3a counts it for fast-slow training"
)


def beside_own_prompts(data: Data, plan: Plan) -> Added:
    """3a: above what the base reaches under the evolved prompt, and without narrow ranges."""
    pairs = pairs_of(data, plan, "learner")
    details, without = [], []
    for domain in KL_DOMAINS:
        found = {s: _above_base(data, plan, domain, s, pairs[domain][s]) for s in plan.seeds}
        what = f"{domain}, at accuracies above base + evolved prompt"
        ratios = {s: m.log_ratio if isinstance(m, Matched) else m for s, m in found.items()}
        details.append(detail(what, {"ratio": ratios}, scale="ratio"))
        without += [
            f"{domain} seed {seed}"
            for seed, pair in pairs[domain].items()
            if isinstance(pair, RunPair) and isinstance(found[seed], Undefined)
        ]
    notes = [_FREE]
    if without:
        notes.append(
            "both learners have no common accuracy above base + evolved prompt (or it is unknown): "
            f"{', '.join(without)}"
        )
    wide = _wide(pairs, plan)
    return Added((*details, *wide.details), (*notes, *wide.notes))


def beside_seed_prompt(data: Data, plan: Plan) -> Added:
    """3b: without narrow ranges, and where fast-slow training is never above the base."""
    pairs = pairs_of(data, plan, "seed")
    wide = _wide(pairs, plan)
    return Added(wide.details, (*wide.notes, *_never_above(pairs)))


def _above_base(
    data: Data, plan: Plan, domain: str, seed: int, pair: RunPair | Undefined
) -> Matched | Undefined:
    if isinstance(pair, Undefined):
        return pair
    base = data.cell_accuracy(plan.single(domain, "fst", seed), domain, weights="base")
    if isinstance(base, Undefined):
        return base
    low, high = common_range(pair)
    low = max(low, base)
    if high <= low:
        return Undefined(f"no common accuracies above {SHARE.text(low)}")
    return match(pair, np.linspace(low, high, LEVELS + 1)[1:])


def _wide(pairs: Pairs, plan: Plan) -> Added:
    """The mean over domains without pairs whose common range is narrow."""
    narrow = {
        (domain, seed)
        for domain, by_seed in pairs.items()
        for seed, pair in by_seed.items()
        if isinstance(pair, RunPair) and 0 < _width(pair) < NARROW
    }
    if not narrow:
        return Added()
    run = sum(isinstance(pair, RunPair) for by_seed in pairs.values() for pair in by_seed.values())
    ratios = {seed: _mean(pairs, seed, narrow) for seed in plan.seeds}
    what = f"mean over domains, without common ranges under {_NARROW}"
    note = f"{len(narrow)} of {run} pairs of runs have a common range under {_NARROW}"
    return Added((detail(what, {"ratio": ratios}, scale="ratio"),), (note,))


def _mean(pairs: Pairs, seed: int, narrow: set[tuple[str, int]]) -> float | Undefined:
    ratios = []
    for domain, by_seed in pairs.items():
        pair = by_seed[seed]
        if isinstance(pair, Undefined):
            return Undefined(f"{domain}: {pair.reason}")
        found = match(pair)
        if isinstance(found, Matched) and (domain, seed) not in narrow:
            ratios.append(found.log_ratio)
    return mean(ratios) if ratios else Undefined("no domain has a common range that wide")


def _width(pair: RunPair) -> float:
    low, high = common_range(pair)
    return high - low


def _never_above(pairs: Pairs) -> list[str]:
    """The domains on which runs of fast-slow training never beat the base, with how many."""
    told = []
    for domain, by_seed in pairs.items():
        there = [pair for pair in by_seed.values() if isinstance(pair, RunPair)]
        never = sum(bool(pair.fst[0].max() <= pair.fst[0][0]) for pair in there)
        told += [f"{domain} ({never} of {len(there)} runs)"] if never else []
    if not told:
        return []
    return [f"under the seed prompt fast-slow training is never above the base: {', '.join(told)}"]


# The figure

_LINEAR = 1e-3
"""Nats per token below which the axis of KL is linear."""
_SHADE = "#f0ead8"


def draw(data: Curves, plan: Plan) -> Figure:
    """One panel per domain: higher at the same place is more accuracy for the same distance."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.ticker import StrMethodFormatter

    with styles.sheet(2, 2, sharey=True) as (figure, panels):
        for axes, domain in zip(panels, KL_DOMAINS, strict=True):
            axes.set_title(domain)
            _draw_domain(axes, data, plan, domain)
        for axes in panels[2:]:
            axes.set_xlabel("KL(policy ‖ base), nats per token")
        for axes in panels[::2]:
            axes.set_ylabel("accuracy on test problems")
        styles.finish(panels, samples=False)
        for axes in panels:
            axes.set_xscale("symlog", linthresh=_LINEAR, linscale=0.4)
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axes.set_xlim(left=0)
        dashed = Line2D(
            [], [], color=styles.colour("fst"), dashes=(4, 2), lw=1.4, label="FST, seed prompt"
        )
        compared = Patch(color=_SHADE, label="compared accuracies, mean")
        bar = Line2D([], [], color="#555555", lw=1.2, label="95 % interval of KL")
        styles.legend(figure, ("rl", "fst"), [dashed, bar, compared], band=False)
        return figure


def _draw_domain(axes: Axes, data: Curves, plan: Plan, domain: str) -> None:
    for learner, prompt in (("fst", "seed"), ("rl", "learner"), ("fst", "learner")):
        runs = trajectories(data, plan, domain, learner, "kl_policy_base", prompt=prompt)
        drawn = styles.curves(axes, learner, runs, dashed=prompt == "seed", band=False)
        if drawn is not None and prompt != "seed":
            _intervals(axes, learner, runs, drawn)
    _compared(axes, data, plan, domain)


def _intervals(
    axes: Axes, learner: str, runs: Sequence[Trajectory | Undefined], drawn: Trajectory
) -> None:
    """A bar across every point of a mean: the interval of its KL over seeds."""
    there = [run[0] for run in runs if not isinstance(run, Undefined)]
    ends = bootstrap_band(there, generator())
    if isinstance(ends, tuple):
        axes.hlines(drawn[1], *ends, color=styles.colour(learner), lw=1.2, alpha=0.6)


def _compared(axes: Axes, data: Curves, plan: Plan, domain: str) -> None:
    """Shade the accuracies at which 3a compares, from the mean of their lowest to their highest."""
    pairs = pairs_of(data, plan, "learner")[domain].values()
    ranges = [common_range(pair) for pair in pairs if isinstance(pair, RunPair)]
    ordered = [found for found in ranges if found[0] < found[1]]
    if ordered:
        axes.axhspan(*np.mean(ordered, axis=0), color=_SHADE, zorder=-2, lw=0)


CLAIM = Claim(
    REGISTERED,
    runs=singles(KL_DOMAINS, ("rl", "fst")),
    measurements={
        "3a": Measurement("RL ÷ FST, KL at equal accuracy", own_prompts, beside_own_prompts),
        "3b": Measurement(
            "RL ÷ FST, KL at equal accuracy, seed prompt", seed_prompt, beside_seed_prompt
        ),
    },
    figure=draw,
)
