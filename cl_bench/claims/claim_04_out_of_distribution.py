"""Claim 4: what a run was not trained on, at its end and without the evolved prompt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from cl_bench.analysis.paired import BySeed
from cl_bench.claims.claim import Claim, Registered, measurement, paper_figure
from cl_bench.claims.measure import (
    MeasuredStatement,
    averaged,
    detail,
    difference,
    mean_over,
    measured,
    on_stream,
    with_difference,
)
from cl_bench.claims.plan import Plan, singles, streams
from cl_bench.claims.rule import Statement
from cl_bench.claims.styles import bar_panels
from cl_bench.metrics import forgetting_max

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cl_bench.claims.data import Data
    from cl_bench.sweep.cell import Cell

REGISTERED = Registered(
    4,
    "out-of-distribution",
    "Fast-slow training keeps what it was not trained on at least as well as RL",
    "At the end of single runs on $singles, without the evolved prompt: the mean accuracy "
    "over $outside and the trained domain's hardest setting (seed prompt), five sets of equal "
    "weight.",
    (
        paper_figure("CodeIO, OOD average", base="41.0", RL="51.1", FST="49.7"),
        paper_figure("Math, OOD average", base="26.9", RL="36.2", FST="36.5"),
        paper_figure("HoVer, OOD average", base="47.5", RL="48.4", FST="48.5"),
    ),
    (
        Statement("4a", "fast-slow training minus RL (no worse)", -0.02, -0.02),
        Statement("4b", "fast-slow training minus the base", -0.02, -0.02, primary=False),
        Statement(
            "4c",
            "forgetting_max of RL minus that of fast-slow training, own prompts, on the stream "
            "$stream",
            0.0,
            0.02,
            primary=False,
        ),
    ),
)


def runs(plan: Plan, seed: int) -> list[Cell]:
    """The single runs, and the stream of 4c."""
    return [*singles(LEARNERS)(plan, seed), *streams(LEARNERS)(plan, seed)]


LEARNERS = ("rl", "fst")


def forgetting(data: Data, plan: Plan) -> MeasuredStatement:
    """`forgetting_max` of RL minus that of fast-slow training, on the stream, own prompts."""
    values = {name: on_stream(data, plan, name, forgetting_max) for name in LEARNERS}
    columns = with_difference(values, "rl", "fst")
    line = detail("forgetting on the stream", columns, "points")
    return measured(columns["difference"], [line])


def compared(data: Data, plan: Plan, domain: str) -> Mapping[str, BySeed]:
    """The base, both learners and the differences of single runs on a domain.

    The base is step 0 of the fast-slow run, which that of RL equals.
    """
    base = outside(data, plan, domain, "fst", "start")
    rl, fst = (outside(data, plan, domain, learner) for learner in LEARNERS)
    columns = with_difference({"base": base, "rl": rl, "fst": fst})
    return {**columns, "difference to base": difference(fst, base)}


def outside(
    data: Data, plan: Plan, trained: str, learner: str, at: Literal["start", "end"] = "end"
) -> BySeed:
    """Mean accuracy of single runs over the five sets that they were not trained on.

    These are the subject's other domains under prompts that state each problem's convention, and
    the trained domain's hardest setting under the seed prompt, with equal weight. A seed without
    rows of one of them has no mean.
    """
    cells = plan.single_runs(trained, learner)

    def asked(domain: str, test_set: str, prompt: str) -> BySeed:
        return {
            seed: data.cell_accuracy(cell, domain, at=at, prompt=prompt, test_set=test_set)
            for seed, cell in cells.items()
        }

    others = plan.subject.others(trained)
    sets = {domain: asked(domain, "retention", "stated") for domain in others}
    return mean_over({**sets, f"{trained}, hardest setting": asked(trained, "harder", "seed")})


def by_domain(data: Data, plan: Plan) -> Mapping[str, Mapping[str, BySeed]]:
    """`compared` for every domain of single runs."""
    return {f"trained on {name}": compared(data, plan, name) for name in plan.subject.singles}


def against(data: Data, plan: Plan, column: str) -> MeasuredStatement:
    """A difference of fast-slow training, mean over the domains of single runs."""
    return averaged(by_domain(data, plan), column)


def draw(data: Data, plan: Plan) -> Figure:
    """Accuracy on the five sets that a single run was not trained on, a panel per domain."""
    return bar_panels(by_domain(data, plan), "accuracy on what was not trained")


CLAIM = Claim(
    REGISTERED,
    runs=runs,
    measurements={
        "4a": measurement("FST − RL, accuracy outside the training", against, column="difference"),
        "4b": measurement(
            "FST − base, accuracy outside the training", against, column="difference to base"
        ),
        "4c": measurement("RL − FST, forgetting on the stream", forgetting),
    },
    figure=draw,
)
