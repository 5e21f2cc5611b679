"""Writing an archive of the claims' runs, and extending it under one plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cl_bench.claims.plan import Plan
from cl_bench.claims.registration import registration
from cl_bench.claims.runs import (
    ARCHIVE_VERSION,
    INDEX,
    MISSING,
    RUNS,
    Archive,
    exists,
    in_directories,
    place,
)
from cl_bench.contract.errors import UsageError
from cl_bench.store.files import file_hash, replacing, write_json_atomically
from cl_bench.store.run_directory import RunDirectory
from cl_bench.sweep.cell import Cell
from cl_bench.sweep.state import FINISHED
from cl_bench.verify.packing import pack

_NONE: Mapping[str, str] = MappingProxyType({})


def known_cells(folder: Path) -> dict[str, str]:
    """The status of every cell whose run is finished in an archive; none where there is none."""
    runs = Archive.read(folder).runs if exists(folder) else {}
    return {name: run.status for name, run in runs.items() if run.status in FINISHED}


def write_archive(
    cells: Iterable[Cell],
    folder: Path,
    out: Path,
    plan: Plan,
    *,
    failures: Mapping[str, str] = _NONE,
) -> None:
    """Pack the runs of `cells` in `folder` into `out`, or add them to the archive there.

    `plan` is the archive's from now on; what is registered when it is begun never changes.
    A run on this machine takes the place of the archived one, except that an unfinished or failed
    one never replaces a finished one. Cells of which nothing is on this machine stay as they are.
    `failures` has, by name, why a cell could not be made now.
    """
    old = Archive.read(out) if exists(out) else Archive(plan, registration(plan), {})
    here = in_directories(cells, folder, failures)
    runs = dict(old.runs)
    for name, run in here.items():
        known = runs.get(name, MISSING).status in FINISHED
        if run.status in FINISHED or (run.status != "missing" and not known):
            runs[name] = run
    _write(replace(old, plan=plan, runs=runs), out)


def joined(plan: Plan, folder: Path) -> Plan:
    """The plan of the archive with the seeds of `plan` added; `plan` if there is none yet.

    `UsageError` if the two differ in budget, model or settings: the page that is made from an
    archive is about one plan.
    """
    if not exists(folder):
        return plan
    kept = Archive.read(folder).plan
    if plan.budget != kept.budget:
        raise UsageError(
            f"The archive {folder} is kept under the budget {kept.budget.name}, and the budget "
            f"given is {plan.budget.name}. Go on with it by --budget {kept.budget.name}, or give "
            "another --archive."
        )
    if plan.model != kept.model:
        raise UsageError(
            f"The archive {folder} has runs of the model {kept.model}, and the model now is "
            f"{plan.model}. Give another --archive."
        )
    if differing := _differing(kept, plan):
        raise UsageError(
            f"The archive {folder} is kept under other settings than cl-bench takes now: "
            f"{', '.join(differing)}. Give another --archive, or make the page from this one as it "
            f"is: `cl-bench reproduce --from {folder}`."
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


def _write(archive: Archive, out: Path) -> None:
    """Write all files under temporary names; then they take their places, the index last."""
    (out / RUNS).mkdir(parents=True, exist_ok=True)
    with ExitStack() as places:
        index = places.enter_context(replacing(out / INDEX))
        entries = {}
        for name, run in sorted(archive.runs.items()):
            entry: dict[str, Any] = {"status": run.status}
            if run.status in FINISHED and run.path is not None:
                target = place(out, name)
                if run.path != target:
                    target = places.enter_context(replacing(target))
                    target.write_bytes(pack(RunDirectory.open(run.path)).content)
                entry |= {"seconds": run.seconds, "sha256": file_hash(target)}
            if run.reason is not None:
                entry["reason"] = run.reason
            entries[name] = entry
        content = {
            "archive_version": ARCHIVE_VERSION,
            "plan": archive.plan.as_dict(),
            "registered": archive.registered,
            "runs": entries,
        }
        write_json_atomically(index, content)
