"""Claim 5: what fresh RL on the probe's domain reaches from models that were trained before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cl_bench.analysis.paired import BySeed, PairedDifference, known
from cl_bench.claims.claim import Claim, Registered, measurement, paper_figure
from cl_bench.claims.measure import (
    Detail,
    MeasuredStatement,
    detail,
    difference,
    mean_over,
    measured,
    with_difference,
)
from cl_bench.claims.plan import Plan, singles
from cl_bench.claims.rule import Statement
from cl_bench.claims.styles import bar_panels
from cl_bench.metrics import jackknife, plasticity_ratio
from cl_bench.metrics.stats.student import Estimate
from cl_bench.metrics.undefined import Undefined

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cl_bench.claims.data import Data
    from cl_bench.sweep.cell import Cell

REGISTERED = Registered(
    5,
    "plasticity",
    "After fast-slow training a model learns a new task better than after RL",
    "Fresh RL on $probe from the base and from the last models of RL and fast-slow training on "
    "$origins, with equal seed and budget; accuracy at the end under the seed "
    "prompt. Mean over the two origins.",
    (
        paper_figure("after Math", base="20.2", RL="0.0", FST="16.7"),
        paper_figure("after Physics", base="18.3", RL="19.9", FST="24.2"),
    ),
    (
        Statement("5a", "from fast-slow training minus from RL", 0.0, 0.02),
        Statement("5b", "from fast-slow training minus from the base", -0.02, -0.02, primary=False),
    ),
)


LEARNERS = ("rl", "fst")
"""Whose models the probes start from, besides the base."""


def runs(plan: Plan, seed: int) -> list[Cell]:
    """The runs that the probes start from, the probe from the base, and the others."""
    origins = singles(LEARNERS, lambda subject: subject.origins)(plan, seed)
    return [*origins, plan.probe(None, seed), *(plan.probe(origin, seed) for origin in origins)]


def compared(data: Data, plan: Plan, origin: str) -> Mapping[str, BySeed]:
    """Accuracies of the probe from the base and after each learner on `origin`, and differences.

    The probe from the base is one run for all origins.
    """
    base = reached(data, plan, lambda _: None)
    rl = reached(data, plan, lambda seed: plan.single(origin, "rl", seed))
    fst = reached(data, plan, lambda seed: plan.single(origin, "fst", seed))
    columns = with_difference({"base": base, "rl": rl, "fst": fst})
    return {**columns, "difference to base": difference(fst, base)}


def reached(data: Data, plan: Plan, start: Callable[[int], Cell | None]) -> BySeed:
    """Accuracy of the probes from each seed's start at their end, under the seed prompt."""
    probes = {seed: plan.probe(start(seed), seed) for seed in plan.seeds}
    return {
        seed: data.cell_accuracy(cell, plan.subject.probe, prompt="seed")
        for seed, cell in probes.items()
    }


def by_origin(data: Data, plan: Plan) -> Mapping[str, Mapping[str, BySeed]]:
    """`compared` for every origin."""
    return {f"after {origin}": compared(data, plan, origin) for origin in plan.subject.origins}


def against(data: Data, plan: Plan, column: str) -> MeasuredStatement:
    """A difference from fast-slow training, mean over the origins."""
    found = by_origin(data, plan)
    details = []
    for what, values in found.items():
        ratios = {learner: _ratio(values[learner], values["base"]) for learner in LEARNERS}
        details.append(detail(what, values))
        details.append(Detail(f"{what}, plasticity ratio", ratios, "ratio"))
    return measured(mean_over({what: of[column] for what, of in found.items()}), details)


def _ratio(after: BySeed, base: BySeed) -> Estimate | Undefined:
    """The plasticity ratio over the seeds that have both probes."""
    after_S, base_S = map(known, PairedDifference(after, base).of_pairs)
    if not after_S:
        return Undefined("no seed has both probes")
    both_S_2 = np.array([after_S, base_S]).T
    ratio = jackknife(both_S_2, lambda both: plasticity_ratio(both[:, 0], both[:, 1]))
    return ratio if isinstance(ratio, Undefined) else replace(ratio, of_seeds=len(after))


def draw(data: Data, plan: Plan) -> Figure:
    """Accuracy of fresh RL from the base and from trained models, a panel per origin."""
    return bar_panels(by_origin(data, plan), f"accuracy on {plan.subject.probe} after fresh RL")


CLAIM = Claim(
    REGISTERED,
    runs=runs,
    measurements={
        "5a": measurement(
            "after FST − after RL, accuracy of fresh RL", against, column="difference"
        ),
        "5b": measurement(
            "after FST − from the base, accuracy of fresh RL", against, column="difference to base"
        ),
    },
    figure=draw,
)
