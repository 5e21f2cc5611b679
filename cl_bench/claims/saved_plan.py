"""The plan that an archive is kept under: read, written, and held against another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cl_bench.claims.archive import Archive, exists
from cl_bench.claims.plan import BUDGETS, Plan
from cl_bench.contract.errors import RunDirectoryError, UsageError


def as_dict(plan: Plan) -> dict[str, Any]:
    """The plan as plain data; `from_dict` reads it."""
    settings = {learner: dict(options) for learner, options in plan.settings.items()}
    return {
        "budget": plan.budget.name,
        "seeds": list(plan.seeds),
        "settings": settings,
        "model": plan.model,
    }


def from_dict(saved: Mapping[str, Any], archive: Path) -> Plan:
    """The plan that an archive's manifest holds; `RunDirectoryError` if it is none."""
    try:
        budget, seeds = BUDGETS[saved["budget"]], tuple(map(int, saved["seeds"]))
        settings = {learner: dict(saved["settings"][learner]) for learner in saved["settings"]}
        return Plan(budget, seeds, settings, saved["model"])
    except (KeyError, TypeError, ValueError) as error:
        raise RunDirectoryError(
            f"{archive / 'manifest.json'} holds no plan that this cl-bench knows ({error!r}). "
            "Restore it from a copy, or pack the runs again with --archive."
        ) from error


def joined(plan: Plan, archive: Path) -> Plan:
    """The plan of the archive with the seeds of `plan` added; `plan` if there is none yet.

    `UsageError` if the two differ in budget, model or settings: the page that is made from an
    archive is about one plan.
    """
    saved = Archive.read(archive).plan if exists(archive) else None
    if saved is None:
        return plan
    kept = from_dict(saved, archive)
    if plan.budget != kept.budget:
        raise UsageError(
            f"The archive {archive} is kept under the budget {kept.budget.name}, and the budget "
            f"given is {plan.budget.name}. Go on with it by --budget {kept.budget.name}, or give "
            "another --archive."
        )
    if plan.model != kept.model:
        raise UsageError(
            f"The archive {archive} has runs of the model {kept.model}, and the model now is "
            f"{plan.model}. Give another --archive."
        )
    if differing := _differing(kept, plan):
        raise UsageError(
            f"The archive {archive} is kept under other settings than cl-bench takes now: "
            f"{', '.join(differing)}. Give another --archive, or make the page from this one as it "
            f"is: `cl-bench reproduce --from {archive}`."
        )
    return replace(kept, seeds=tuple(sorted({*kept.seeds, *plan.seeds})))


def _differing(kept: Plan, plan: Plan) -> list[str]:
    """Every setting that is not the same, with both values."""
    told = []
    for learner in dict.fromkeys([*kept.settings, *plan.settings]):
        before, now = (dict(of.settings.get(learner, {})) for of in (kept, plan))
        for name in dict.fromkeys([*before, *now]):
            if before.get(name) != now.get(name):
                values = f"{before.get(name, 'none')} (now {now.get(name, 'none')})"
                told.append(f"{name} of {learner} {values}")
    return told
