"""All that can be checked of one run, in a directory or packed, and of all runs below a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cl_bench.contract.errors import ClBenchError, DamagedError, RunDirectoryError
from cl_bench.execution.processes import in_order
from cl_bench.store.packs.layout import MANIFEST, member
from cl_bench.store.packs.packed import PackedRun
from cl_bench.store.remote import fetched
from cl_bench.store.run_tables import RunTables, open_run, places_below
from cl_bench.store.schema import TABLES
from cl_bench.verify import (
    divergence,
    lineage,
    places,
    problems,
    recompute,
    spending,
    transcripts,
    values,
)
from cl_bench.verify.checked_run import CheckedRun, NoTableError, Tables
from cl_bench.verify.findings import Finding, Findings, Verification
from cl_bench.verify.manifest import check_manifest, flags
from cl_bench.verify.packing import check_pack

CHECKS: tuple[Callable[[CheckedRun], None], ...] = (
    *(values.values, values.completeness, values.uniqueness, problems.versions),
    *(places.places, places.ended, places.grid),
    *(recompute.recomputed, recompute.asked, recompute.same_problems),
    *(problems.problems, problems.scores),
    *(divergence.zero_divergence, divergence.unmeasured, divergence.deployed),
    *(divergence.two_ways, divergence.base),
    *(spending.ledger, spending.beside, spending.steps, spending.channels, spending.tokens),
    *(spending.timed, spending.batches),
    *(lineage.parents, lineage.fates, lineage.scores, lineage.rounds),
    *(transcripts.transcripts, transcripts.responses, transcripts.system_prompts),
)
"""Every check of a run's tables, in the order in which findings are told."""
_ODD = (ClBenchError, LookupError, TypeError, ValueError, ArithmeticError, AttributeError)
Verify = Callable[[Path], Verification]
_NONE: Mapping[str, Verify] = MappingProxyType({})


def verify(
    paths: Iterable[Path], folders: Mapping[str, Verify] = _NONE, *, jobs: int = 1
) -> Iterator[Verification]:
    """Yield the verification of every artefact at or below the paths, in order, each once; of many
    by `jobs` processes.

    Artefacts are run directories and packed runs, and folders with a file that `folders` names,
    which has by that name how they are verified. A path without any artefact is a
    `RunDirectoryError`, before anything is verified.
    """
    chosen: dict[Path, tuple[Path, Verify]] = {}
    for path in map(fetched, paths):
        found = list(places_below(path, (MANIFEST, *folders)))
        if not found:
            raise RunDirectoryError(
                f"There is nothing to verify at or below {path}: no run directory and no packed "
                "run. Name a folder that holds some."
            )
        for place in found:
            checks = (folders[name] for name in folders if (place / name).is_file())
            check = verify_run if (place / MANIFEST).is_file() else next(checks, verify_run)
            chosen.setdefault(place.resolve(), (place, check))
    return in_order(_verified, chosen.values(), jobs=jobs)


def _verified(chosen: tuple[Path, Verify]) -> Verification:
    place, check = chosen
    return check(place)


def verify_run(path: Path) -> Verification:
    """Return the verification of the run directory or pack at `path`; nothing in it raises."""
    packed = path.is_file()
    found = Verification(path, "packed run" if packed else "run directory")
    try:
        run = open_run(path)
        status = run.manifest.get("status")
    except (OSError, RecursionError, *_ODD) as error:
        found.findings.append(_fault(error))
        return found
    if status == "running":
        found.unchecked = True
        found.notes.append("not finished, so not checked")
        return found
    files = {name: member(name) if packed else f"tables/{name}" for name in TABLES}
    findings = Findings(files, found.findings)
    found.notes += flags(run.manifest)
    tables = _tables(run, findings)
    found.checked = {name: len(frame) for name, frame in tables.items()}
    if (config := check_manifest(run.manifest, findings)) is not None:
        found.title = title(run.manifest)
        case = CheckedRun(run.manifest, config, tables, findings)
        check_tables(case)
        if missing := problems.not_remade(case):
            found.notes.append(f"problems of {', '.join(missing)} not made again")
        if "items" in tables and case.anonymous:
            found.notes.append("scores without their answers")
    if isinstance(run, PackedRun):
        found.notes += check_pack(run, tables, findings)
    return found


def check_tables(case: CheckedRun) -> None:
    """All checks whose tables are there."""
    for check in CHECKS:
        try:
            check(case)
        except NoTableError:  # which is said already, or there need not be one
            continue
        except _ODD as error:
            # Tables that no check foresaw must not hide what the others find.
            name = check.__name__
            case.findings.add(f"the check {name!r} cannot be made of such tables ({error!r})")


def title(manifest: Mapping[str, Any]) -> str:
    """Learner, stream and seed."""
    return f"{manifest['learner']} on {manifest['stream']['name']}, seed {manifest['seed']}"


def _tables(run: RunTables, findings: Findings) -> Tables:
    """Return the tables of a run that can be read; add to `findings` why the others cannot."""
    tables = Tables()
    for name in run.kept if isinstance(run, PackedRun) else TABLES:
        try:
            tables[name] = run.table(name)
        except (OSError, *_ODD) as error:
            fault = _fault(error)
            findings.add(fault.reason, file=fault.file, table=name)
    return tables


def _fault(error: Exception) -> Finding:
    if isinstance(error, DamagedError):
        return Finding(error.reason, error.file)
    return Finding(str(error))
