"""The part of the page that says how its numbers came about: budget, settings, code, runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cl_bench.claims.blocks import Block, Code, Folded, Heading, Inline, Paragraph, Table
from cl_bench.claims.plan import Plan
from cl_bench.claims.wording import NOTHING
from cl_bench.text import duration

if TYPE_CHECKING:
    import pandas as pd

_STATUS = ("done", "diverged", "no start", "failed", "running", "missing")
_CODE = ("cl_bench", "git_commit", "git_dirty", "source_hash", "torch", "transformers", "trl")
_HASH = 12
"""Characters shown of a hash."""


def how_it_was_run(plan: Plan, runs: pd.DataFrame) -> Iterator[Block]:
    """The section; `runs` has a row for every planned run."""
    budget = plan.budget
    seeds = ", ".join(map(str, plan.seeds))
    yield Heading(2, "How it was run", "runs")
    yield Paragraph(
        f"Budget {budget.name}: {budget.single_samples:,} RL rollouts in a single run, "
        f"{budget.stage_samples:,} in a stage of the stream, {budget.items} test problems per "
        f"domain. Seeds {seeds}; neither development nor calibration used them. "
        f"Model: {plan.model}."
    )
    yield _settings(plan)
    counts = runs["status"].value_counts().to_dict()
    said = ", ".join(f"{counts[status]} {status}" for status in _STATUS if status in counts)
    yield Paragraph(
        f"{len(runs)} runs were planned: {said}. Those that were made took "
        f"{duration(float(runs['seconds'].sum()))} of wall time together."
    )
    yield _code(runs)
    yield from _not_done(runs)


def _settings(plan: Plan) -> Table:
    names = list(dict.fromkeys(name for options in plan.settings.values() for name in options))
    rows: list[list[Inline]] = [
        [learner, *(_shown(options.get(name)) for name in names)]
        for learner, options in plan.settings.items()
    ]
    return Table("Settings of each learner, chosen by calibration", ["learner", *names], rows)


def _code(runs: pd.DataFrame) -> Table:
    """What code and packages made the runs, and how many each."""
    made = runs[runs["cl_bench"].notna()]
    counts = made.astype(dict.fromkeys(_CODE, object)).groupby(list(_CODE), dropna=False).size()
    rows: list[list[Inline]] = [
        [*(_shown(_cut(value)) for value in key), str(count)] for key, count in counts.items()
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
        [Code(row["cell"]), row["status"], _shown(row["reason"])] for row in left.to_dict("records")
    ]
    columns = ("run", "status", "reason")
    yield Folded(f"Runs that are not done ({len(left)})", [Table("", columns, rows)])


def _cut(value: Any) -> Any:
    """A hash by its first characters."""
    return value[:_HASH] if isinstance(value, str) and len(value) >= 40 else value


def _shown(value: Any) -> str:
    if value is None or value != value:  # NaN, as pandas has for what is not known
        return NOTHING
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)
