"""The part of the page about how its numbers came about: budget, settings, code, runs, noise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from cl_bench.claims.measure import generator
from cl_bench.claims.plan import KL_DOMAINS, Plan
from cl_bench.claims.settings_section import settings_section, shown
from cl_bench.claims.spending import Spending, spending_section
from cl_bench.claims.styles import label
from cl_bench.claims.wording import of_estimate
from cl_bench.metrics import over_seeds, sampling_noise_floor
from cl_bench.metrics.quantities import SECONDS, SHARE
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.blocks import (
    Block,
    Code,
    Folded,
    Heading,
    Inline,
    Link,
    Paragraph,
    Strong,
    Table,
)
from cl_bench.sweep.state import FINISHED

if TYPE_CHECKING:
    import pandas as pd

    from cl_bench.claims.data import Data
    from cl_bench.sweep.cell import Cell

_STATUS = ("done", "diverged", "no start", "failed", "running", "missing")
_CODE = ("cl_bench", "git_commit", "git_dirty", "source_hash", "torch", "transformers", "trl")
_HASH = 12
"""Characters shown of a hash."""
_FLOORS_OF = ("rl", "fst")
_TEST_SETS = {
    "stream": "the stream's domains",
    "retention": "domains outside the stream",
    "harder": "a domain's hardest setting",
}


def methods_section(
    plan: Plan, data: Data, needed: Sequence[Cell], runs: pd.DataFrame, spent: Spending
) -> Iterator[Block]:
    """The section; `runs` has a row for every planned run, `needed` are the claims' own."""
    budget = plan.budget
    seeds = ", ".join(map(str, plan.seeds))
    yield Heading(2, "How it was run", "runs")
    yield Paragraph(
        f"Budget {budget.name}: {budget.single_samples:,} RL rollouts in a single run, "
        f"{budget.stage_samples:,} in a stage of the stream, {budget.items} test problems per "
        f"domain. Seeds {seeds}. Model: {plan.model}."
    )
    yield from _asked(data, needed)
    yield from settings_section(plan, list(runs["learner"].unique()))
    yield from spending_section(spent)
    counts = runs["status"].value_counts().to_dict()
    said = ", ".join(f"{counts[status]} {status}" for status in _STATUS if status in counts)
    yield Heading(3, "The runs", "made")
    yield Paragraph(
        f"{len(runs)} runs were planned: {said}. Those that were made took "
        f"{SECONDS.text(float(runs['seconds'].sum()))} of wall time together."
    )
    yield _code(runs)
    yield from _not_done(runs)


def mixed(runs: pd.DataFrame) -> Iterator[Block]:
    """A warning where the runs behind the verdicts were not made by one code and of one model."""
    made = runs[runs["status"].isin(FINISHED)]
    unprobed = made[made["start"].isna()]  # a probe has the model of the run it starts from
    for what, column in (
        ("code (source hashes", made["source_hash"]),
        ("models (hashes of their files", unprobed["model_hash"]),
        ("models (names", unprobed["model"]),
    ):
        counts = column.fillna("unknown").value_counts().sort_index()
        if len(counts) > 1:
            listed = ", ".join(f"{_cut(name)}: {count} runs" for name, count in counts.items())
            yield Paragraph(
                [
                    Strong(f"Warning: the judged runs mix different {what} {listed})."),
                    " Learners or seeds may differ for that reason alone. ",
                    Link("What made the runs.", "made"),
                ]
            )


def _asked(data: Data, cells: Sequence[Cell]) -> Iterator[Block]:
    """How many problems and samples an accuracy rests on."""
    sizes: dict[str, set[tuple[int, int]]] = {}
    for cell in cells:
        rows = data.table("evaluations", cell)
        if not isinstance(rows, Undefined):
            distinct = rows[["test_set", "n_items", "n_samples"]].drop_duplicates()
            for test_set, items, samples in distinct.itertuples(index=False):
                sizes.setdefault(test_set, set()).add((items, samples))
    said = [
        f"{words} {' or '.join(f'{items} × {samples}' for items, samples in sorted(sizes[name]))}"
        for name, words in _TEST_SETS.items()
        if name in sizes
    ]
    if said:
        yield Paragraph(
            "One accuracy rests on so many problems × samples of each: "
            f"{', '.join(said)}. Divergence and entropy rest on the first sample of each problem."
        )


def _code(runs: pd.DataFrame) -> Table:
    """What code and packages made the runs, and how many each."""
    made = runs[runs["cl_bench"].notna()]
    counts = made.astype(dict.fromkeys(_CODE, object)).groupby(list(_CODE), dropna=False).size()
    rows: list[list[Inline]] = [
        [*(shown(_cut(value)) for value in key), str(count)] for key, count in counts.items()
    ]
    columns = (
        "cl-bench",
        "commit",
        "edited",
        "source hash",
        "torch",
        "transformers",
        "trl",
        "runs",
    )
    return Table("What made the runs", columns, sorted(rows, key=str))


def _not_done(runs: pd.DataFrame) -> Iterator[Block]:
    left = runs[runs["status"] != "done"].sort_values("cell")
    if left.empty:
        return
    rows: list[list[Inline]] = [
        [Code(row["cell"]), row["status"], shown(row["reason"])] for row in left.to_dict("records")
    ]
    columns = ("run", "status", "reason")
    yield Folded(f"Runs that are not done ({len(left)})", [Table("", columns, rows)])


def _cut(value: Any) -> Any:
    """A hash by its first characters."""
    return value[:_HASH] if isinstance(value, str) and len(value) >= 40 else value


def noise_section(data: Data, plan: Plan) -> list[Block]:
    """The floors at the end of single runs; nothing where no run has one."""
    found = {
        (domain, learner): over_seeds(
            {
                seed: noise_floor(data, plan.single(domain, learner, seed), domain)
                for seed in plan.seeds
            },
            generator(),
        )
        for domain in KL_DOMAINS
        for learner in _FLOORS_OF
    }
    if all(isinstance(value, Undefined) for value in found.values()):
        return []
    rows: list[list[Inline]] = [
        [domain, *(of_estimate(SHARE.distance, found[domain, learner]) for learner in _FLOORS_OF)]
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
            ["domain", *map(label, _FLOORS_OF)],
            rows,
        ),
    ]


def noise_floor(data: Data, cell: Cell, domain: str) -> float | Undefined:
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
