"""Archives: the claims' runs, packed, so that the page can be made again anywhere.

    index.json         the plan, what was registered when the archive was begun, and by cell how its
                       run ended, its wall time and the SHA-256 of its pack
    runs/<cell>.zip    the run of every finished cell, packed (`cl_bench.store.packs`)

The same runs give the same bytes. An archive can be extended on another machine: runs that are not
there stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cl_bench.claims.data import MISSING, NO_FAILURES, Recorded, in_directories
from cl_bench.claims.plan import Plan
from cl_bench.claims.registered import registration
from cl_bench.contract.errors import DamagedError, RunDirectoryError, UsageError
from cl_bench.contract.text import printable
from cl_bench.store.files import file_hash, read_json, replacing, write_json_atomically
from cl_bench.store.packs.layout import SUFFIX
from cl_bench.store.run_directory import RunDirectory
from cl_bench.sweep.cell import Cell
from cl_bench.sweep.state import FINISHED
from cl_bench.verify.packing import pack

INDEX, RUNS = "index.json", "runs"
ARCHIVE_VERSION = 1
"""Counts up whenever an entry of the index changes its meaning."""


@dataclass(frozen=True)
class Archive:
    """An archive, read."""

    plan: Plan
    registered: Mapping[str, Any]
    """The `registration` of rules and plan when it was begun."""
    runs: Mapping[str, Recorded]
    """By a cell's name its run; one that did not finish has no path."""

    @classmethod
    def read(cls, folder: Path) -> Archive:
        """The archive in a folder; `RunDirectoryError` names the file that is not as written."""
        index = _index(folder)
        plan = Plan.from_dict(index["plan"], folder / INDEX)
        runs = {name: _entry(folder, name, entry) for name, entry in index["runs"].items()}
        return cls(plan, index["registered"], runs)


def exists(folder: Path) -> bool:
    """Whether there is an archive in the folder."""
    return (folder / INDEX).exists()


def place(folder: Path, cell: str) -> Path:
    """Where an archive keeps the run of a cell."""
    return folder / RUNS / f"{cell}{SUFFIX}"


def _index(folder: Path) -> dict[str, Any]:
    file = folder / INDEX
    if not file.exists():
        raise RunDirectoryError(
            f"There is no archive of runs in {folder}: it holds no {INDEX}. "
            f"`cl-bench reproduce --archive {folder}` makes one."
        )
    index = read_json(file)
    if isinstance(index, dict) and index.get("archive_version") != ARCHIVE_VERSION:
        raise RunDirectoryError(
            f"{file} has archive_version {index.get('archive_version')!r}; this cl-bench reads "
            f"{ARCHIVE_VERSION}. Read it with the cl-bench that wrote it, or make another "
            "--archive."
        )
    parts = ("plan", "registered", "runs")
    if not isinstance(index, dict) or not all(isinstance(index.get(p), dict) for p in parts):
        raise RunDirectoryError(
            f"{file} is damaged: it does not name a plan and its runs. Restore it from a copy."
        )
    return index


def _entry(folder: Path, name: str, entry: Any) -> Recorded:
    """A cell's run as the index describes it; `DamagedError` unless its pack is the one named."""
    file = place(folder, name)
    try:
        run = Recorded(entry["status"], entry.get("reason"), entry.get("seconds"))
        if run.status not in FINISHED:
            return run
        if file.parent != folder / RUNS:
            raise _unusable(file, "its name leads out of the archive")
        if file_hash(file) != entry["sha256"]:
            raise _unusable(file, f"it is not the file that {INDEX} names")
    except (AttributeError, KeyError, TypeError) as error:
        shown = printable(name, 100)
        raise _unusable(file, f"{INDEX} does not describe {shown} ({error!r})") from error
    except OSError as error:
        raise _unusable(file, str(error)) from error
    return replace(run, path=file)


def _unusable(file: Path, reason: str) -> DamagedError:
    message = (
        f"Cannot use the archived run {file}: {reason}. Restore the archive from a copy, or delete "
        "it and pack the runs again."
    )
    return DamagedError(message, file.name, reason)


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
    failures: Mapping[str, str] = NO_FAILURES,
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
    if plan.model != kept.model:
        raise UsageError(
            f"The archive {folder} has runs of the model {kept.model}, and the model now is "
            f"{plan.model}. Give another --archive."
        )
    if plan.budget != kept.budget:
        raise UsageError(
            f"The archive {folder} is kept under the budget {kept.budget.name}, and the budget "
            f"given is {plan.budget.name}. Go on with it by --budget {kept.budget.name}, or give "
            "another --archive."
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
