"""How far two scorings of one model differ by sampling alone, beside which differences are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cl_bench.claims.look import label
from cl_bench.claims.measure import generator
from cl_bench.claims.plan import KL_DOMAINS, Plan
from cl_bench.claims.wording import of_detail
from cl_bench.metrics import over_seeds, sampling_noise_floor
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.blocks import Block, Inline, Paragraph, Table

if TYPE_CHECKING:
    from cl_bench.claims.data import Data
    from cl_bench.sweep.cell import Cell

LEARNERS = ("rl", "fst")


def noise_section(data: Data, plan: Plan) -> list[Block]:
    """The floors at the end of single runs; nothing where no run has one."""
    found = {
        (domain, learner): over_seeds(
            {seed: floor(data, plan.single(domain, learner, seed), domain) for seed in plan.seeds},
            generator(),
        )
        for domain in KL_DOMAINS
        for learner in LEARNERS
    }
    if all(isinstance(value, Undefined) for value in found.values()):
        return []
    rows: list[list[Inline]] = [
        [domain, *(of_detail("", "accuracy", found[domain, learner]) for learner in LEARNERS)]
        for domain in KL_DOMAINS
    ]
    return [
        Paragraph(
            "Noise floor: one model scored twice on the same problems, with other samples, differs "
            "by more than this in 5 of 100 cases. A difference of single runs below it may be "
            "sampling alone; the intervals over seeds contain this noise."
        ),
        Table(
            "Noise floor of accuracy at the end of single runs, own prompts, mean over seeds",
            ["domain", *map(label, LEARNERS)],
            rows,
        ),
    ]


def floor(data: Data, cell: Cell, domain: str) -> float | Undefined:
    """The floor of a run's last evaluation under its own prompt, from the samples of each item."""
    items, evaluations = data.table("items", cell), data.table("evaluations", cell)
    if isinstance(items, Undefined):
        return items
    if isinstance(evaluations, Undefined):
        return evaluations
    wanted = {"domain": domain, "prompt": "learner", "weights": "trained", "test_set": "stream"}
    last = evaluations["step"].max()
    for column, value in {**wanted, "step": last}.items():
        items = items[items[column] == value]
        evaluations = evaluations[evaluations[column] == value]
    if items.empty or evaluations.empty:
        return Undefined(f"run {cell.name} has no item rows at its end")
    samples = int(evaluations["n_samples"].iloc[0])
    scores = items.groupby("uid", sort=False)["score"].mean()
    return sampling_noise_floor(scores.to_numpy(float), samples)
