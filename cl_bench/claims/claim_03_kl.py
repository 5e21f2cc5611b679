"""Claim 3: how far from the base RL and fast-slow training are at the same accuracy."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import TYPE_CHECKING

import numpy as np

from cl_bench.analysis.paired import BySeed
from cl_bench.claims import styles
from cl_bench.claims.claim import Claim, Registered, measurement, paper_figure
from cl_bench.claims.measure import (
    Added,
    MeasuredStatement,
    Trajectories,
    Trajectory,
    defined,
    detail,
    each,
    measured,
    pairs,
    trajectories,
)
from cl_bench.claims.plan import Plan, singles
from cl_bench.claims.rule import Statement
from cl_bench.metrics import kl_at_matched_accuracy
from cl_bench.metrics.arrays import Array
from cl_bench.metrics.divergence import LEVELS
from cl_bench.metrics.quantities import SHARE
from cl_bench.metrics.stats.student import student_band
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
    "logarithms over those of $kl_domains that have common accuracies.",
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
LEARNERS = ("rl", "fst")


@dataclass(frozen=True)
class RunPair:
    """The trajectories of RL and fast-slow training of one seed: accuracies and KL to the base."""

    rl: Trajectory
    fst: Trajectory

    @property
    def common_range(self) -> tuple[float, float]:
        """The lowest and highest accuracy that both reach; none is common if they are not in
        order."""
        return (
            float(max(self.rl[0][0], self.fst[0][0])),
            float(min(self.rl[0].max(), self.fst[0].max())),
        )

    @property
    def narrow(self) -> bool:
        """Whether there is a common range and it is too narrow for ten levels."""
        low, high = self.common_range
        return 0 < high - low < NARROW


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


def pairs_of(data: Data, plan: Plan, prompt: str) -> Pairs:
    """The runs of all domains and seeds under a prompt."""
    found = {}
    for domain in plan.subject.kl_domains:
        rl, fst = (
            trajectories(data, cells, domain, "accuracy", "kl_policy_base", prompt=prompt)
            for cells in (plan.single_runs(domain, name) for name in LEARNERS)
        )
        found[domain] = each(pairs(rl, fst), lambda runs: RunPair(*runs))
    return found


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


def ratio_of_kl(data: Data, plan: Plan, prompt: str) -> MeasuredStatement:
    """RL's KL over that of fast-slow training at equal accuracies, both under such a prompt."""
    compared = pairs_of(data, plan, prompt)
    found = {domain: each(by_seed, match) for domain, by_seed in compared.items()}
    means, medians = (_over_domains(compared, found, plan, average) for average in (mean, median))
    details = []
    for domain, matched in found.items():
        kl = {"rl": each(matched, lambda m: m.rl), "fst": each(matched, lambda m: m.fst)}
        ratio = {"ratio": each(matched, lambda m: m.log_ratio)}
        details.append(detail(domain, ratio, "ratio"))
        details.append(detail(f"{domain}, mean KL at common accuracies", kl, "nats"))
    for name, by_seed in (("mean", means), ("median", medians)):
        details.append(detail(f"{name} over domains", {"ratio": by_seed}, "ratio"))
    return measured(means, details, _notes(compared, found))


def _over_domains(
    compared: Pairs,
    found: Found,
    plan: Plan,
    average: Callable[[Sequence[float]], float],
    none: str = "no domain has common accuracies",
    without: Collection[tuple[str, int]] = (),
) -> BySeed:
    """The average of the logarithms over the domains with common accuracies, seed by seed.

    `without` some pairs of domain and seed. Undefined if a run of any domain is missing, and with
    the reason `none` if no domain is left.
    """

    def value(seed: int) -> float | Undefined:
        for domain, by_seed in compared.items():
            pair = by_seed[seed]
            if isinstance(pair, Undefined):
                return Undefined(f"{domain}: {pair.reason}")
        kept = [by_seed[seed] for name, by_seed in found.items() if (name, seed) not in without]
        ratios = [matched.log_ratio for matched in kept if isinstance(matched, Matched)]
        return average(ratios) if ratios else Undefined(none)

    return {seed: value(seed) for seed in plan.seeds}


def _notes(compared: Pairs, found: Found) -> list[str]:
    """How many pairs of runs have nothing to compare, and how many count with the bound."""
    there = sum(len(defined(by_seed)) for by_seed in compared.values())
    matched = [one for by_seed in found.values() for one in defined(by_seed)]
    without, clipped = there - len(matched), sum(one.clipped for one in matched)
    pairs_of_runs = f"of {there} pairs of runs"
    notes = []
    if without:
        notes.append(f"{without} {pairs_of_runs} have no common accuracies and are left out")
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
    """Above what the base reaches under the evolved prompt, and without narrow ranges."""
    compared = pairs_of(data, plan, "learner")
    details, without = [], []
    for domain, by_seed in compared.items():
        found = _above_base(data, plan, domain, by_seed)
        what = f"{domain}, at accuracies above base + evolved prompt"
        details.append(detail(what, {"ratio": each(found, lambda m: m.log_ratio)}, "ratio"))
        without += [
            f"{domain} seed {seed}"
            for seed, pair in by_seed.items()
            if isinstance(pair, RunPair) and isinstance(found[seed], Undefined)
        ]
    notes = [_FREE]
    if without:
        notes.append(
            "both learners have no common accuracy above base + evolved prompt (or it is unknown): "
            f"{', '.join(without)}"
        )
    wide = _wide(compared, plan)
    return Added((*details, *wide.details), (*notes, *wide.notes))


def beside_seed_prompt(data: Data, plan: Plan) -> Added:
    """Without narrow ranges, and where fast-slow training is never above the base."""
    compared = pairs_of(data, plan, "seed")
    wide = _wide(compared, plan)
    return Added(wide.details, (*wide.notes, *_never_above(compared)))


def _above_base(
    data: Data, plan: Plan, domain: str, by_seed: Mapping[int, RunPair | Undefined]
) -> Mapping[int, Matched | Undefined]:
    def above(pair: RunPair, base: float) -> Matched | Undefined:
        low, high = pair.common_range
        low = max(low, base)
        if high <= low:
            return Undefined(f"no common accuracies above {SHARE.text(low)}")
        return match(pair, np.linspace(low, high, LEVELS + 1)[1:])

    base = {
        seed: data.cell_accuracy(cell, domain, weights="base")
        for seed, cell in plan.single_runs(domain, "fst").items()
    }
    return each(pairs(by_seed, base), lambda both: above(*both))


def _wide(compared: Pairs, plan: Plan) -> Added:
    """The mean over domains without pairs whose common range is narrow."""
    there = {(d, s): pair for d, by_seed in compared.items() for s, pair in by_seed.items()}
    run = [key for key, pair in there.items() if isinstance(pair, RunPair)]
    narrow = [key for key, pair in there.items() if isinstance(pair, RunPair) and pair.narrow]
    if not narrow:
        return Added()
    found = {domain: each(by_seed, match) for domain, by_seed in compared.items()}
    none = "no domain has a common range that wide"
    ratios = _over_domains(compared, found, plan, mean, none, narrow)
    what = f"mean over domains, without common ranges under {_NARROW}"
    note = f"{len(narrow)} of {len(run)} pairs of runs have a common range under {_NARROW}"
    return Added((detail(what, {"ratio": ratios}, "ratio"),), (note,))


def _never_above(compared: Pairs) -> list[str]:
    """The domains on which runs of fast-slow training never beat the base, with how many."""
    told = []
    for domain, by_seed in compared.items():
        there = defined(by_seed)
        never = sum(bool(pair.fst[0].max() <= pair.fst[0][0]) for pair in there)
        told += [f"{domain} ({never} of {len(there)} runs)"] if never else []
    if not told:
        return []
    return [f"under the seed prompt fast-slow training is never above the base: {', '.join(told)}"]


# The figure

_LINEAR = 1e-3
"""Nats per token below which the axis of KL is linear."""
_SHADE = "#f0ead8"


def draw(data: Data, plan: Plan) -> Figure:
    """One panel per domain: higher at the same place is more accuracy for the same distance."""
    from matplotlib.patches import Patch

    compared = pairs_of(data, plan, "learner")
    seed_prompt = styles.DASHED | {"lw": 1.4}
    return styles.panels(
        plan.subject.kl_domains,
        lambda axes, domain: _draw_domain(axes, data, plan, domain, defined(compared[domain])),
        across="KL(policy ‖ base), nats per token",
        upwards="accuracy on test problems",
        learners=LEARNERS,
        handles=[
            styles.handle("FST, seed prompt", color=styles.colour("fst"), **seed_prompt),
            styles.handle("95 % interval of KL", color=styles.GREY, lw=1.2),
            Patch(color=_SHADE, label="compared accuracies, mean"),
        ],
        rows=2,
        band=False,
        then=lambda axes: styles.logarithmic(axes, _LINEAR, "{x:g}"),
    )


def _draw_domain(
    axes: Axes, data: Data, plan: Plan, domain: str, compared: Sequence[RunPair]
) -> None:
    """The curves; shaded are the accuracies that are compared, from the mean of their lowest to
    that of their highest."""
    for learner, prompt in (("fst", "seed"), ("rl", "learner"), ("fst", "learner")):
        cells = plan.single_runs(domain, learner)
        runs = trajectories(data, cells, domain, "kl_policy_base", prompt=prompt)
        drawn = styles.curves(axes, learner, runs, dashed=prompt == "seed", band=False)
        if drawn is not None and prompt != "seed":
            _intervals(axes, learner, runs, drawn)
    ranges = [pair.common_range for pair in compared]
    ordered = [found for found in ranges if found[0] < found[1]]
    if ordered:
        axes.axhspan(*np.mean(ordered, axis=0), color=_SHADE, zorder=-2, lw=0)


def _intervals(axes: Axes, learner: str, runs: Trajectories, drawn: Trajectory) -> None:
    """A bar across every point of a mean: the interval of its KL over seeds."""
    ends = student_band([run[0] for run in defined(runs)])
    if isinstance(ends, tuple):
        axes.hlines(drawn[1], *ends, color=styles.colour(learner), lw=1.2, alpha=0.6)


CLAIM = Claim(
    REGISTERED,
    runs=singles(LEARNERS, lambda subject: subject.kl_domains),
    measurements={
        "3a": measurement(
            "RL ÷ FST, KL at equal accuracy", ratio_of_kl, beside_own_prompts, prompt="learner"
        ),
        "3b": measurement(
            "RL ÷ FST, KL at equal accuracy, seed prompt",
            ratio_of_kl,
            beside_seed_prompt,
            prompt="seed",
        ),
    },
    figure=draw,
)
