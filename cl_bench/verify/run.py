"""All that can be checked of one run, in a directory or packed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cl_bench.contract.errors import ClBenchError, DamagedError
from cl_bench.store.packs.layout import member
from cl_bench.store.packs.packed import PackedRun
from cl_bench.store.run_tables import RunTables, open_run
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
from cl_bench.verify.case import Case, Check
from cl_bench.verify.findings import Finding, Findings, Report
from cl_bench.verify.manifest import check_manifest, flags
from cl_bench.verify.packing import check_pack

if TYPE_CHECKING:
    import pandas as pd

EVALUATIONS = ("evaluations",)
ITEMS = ("evaluations", "items")
CHECKS: tuple[tuple[Check, tuple[str, ...]], ...] = (
    (values.values, ()),
    (values.uniqueness, ()),
    (problems.versions, ()),
    (places.places, EVALUATIONS),
    (places.ended, ("ledger", *EVALUATIONS)),
    (places.grid, EVALUATIONS),
    (recompute.recomputed, ITEMS),
    (recompute.whole, ITEMS),
    (recompute.asked, EVALUATIONS),
    (recompute.same_problems, ITEMS),
    (problems.problems, ITEMS),
    (problems.scores, ITEMS),
    (divergence.zero_divergence, EVALUATIONS),
    (divergence.deployed, EVALUATIONS),
    (divergence.two_ways, EVALUATIONS),
    (divergence.base, EVALUATIONS),
    (spending.ledger, ("ledger", *EVALUATIONS)),
    (spending.beside, ("ledger", *EVALUATIONS)),
    (spending.steps, ("steps", *EVALUATIONS)),
    (spending.channels, ("ledger", "prompts", *EVALUATIONS)),
    (spending.tokens, ("ledger",)),
    (spending.timed, ("timing", *EVALUATIONS)),
    (spending.batches, ("steps", "ledger", *EVALUATIONS)),
    (lineage.parents, ("prompts",)),
    (lineage.fates, ("prompts",)),
    (lineage.scores, ("prompts",)),
    (lineage.rounds, ("prompts",)),
    (transcripts.transcripts, ("transcripts", *ITEMS)),
    (transcripts.responses, ("transcripts", *ITEMS)),
    (transcripts.system_prompts, ("transcripts", "prompts")),
)
"""Every check of a run's tables, and the tables that it reads."""
_ODD = (ClBenchError, LookupError, TypeError, ValueError, ArithmeticError, AttributeError)


def verify_run(path: Path) -> Report:
    """The report of the run directory or packed run at `path`; nothing in it raises."""
    packed = path.is_file()
    report = Report(path, "packed run" if packed else "run directory")
    try:
        run = open_run(path)
        status = run.manifest.get("status")
    except (OSError, RecursionError, *_ODD) as error:
        report.findings.append(_fault(error))
        return report
    if status == "running":
        report.unchecked = True
        report.notes.append("not finished, so not checked")
        return report
    findings = Findings(_files(packed))
    report.notes += flags(run.manifest)
    frames = _frames(run, findings)
    report.checked = {name: len(frame) for name, frame in frames.items()}
    if check_manifest(run.manifest, findings):
        report.title = title(run.manifest)
        case = Case(run.manifest, frames, findings)
        check_tables(case)
        report.notes += _notes(case)
    if isinstance(run, PackedRun):
        report.notes += check_pack(run, frames, findings)
    report.findings += findings.found
    return report


def check_tables(case: Case) -> None:
    """All checks whose tables are there."""
    for check, needed in CHECKS:
        if not all(name in case.tables for name in needed):
            continue
        try:
            check(case)
        except _ODD as error:
            # Tables that no check foresaw must not hide what the others find.
            reason = f"the check {check.__name__!r} cannot be made of such tables ({error!r})"
            case.findings.add(reason, table=needed[0] if needed else None)


def _notes(case: Case) -> list[str]:
    """What could not be checked."""
    notes = []
    if missing := problems.not_remade(case):
        notes.append(f"problems of {', '.join(missing)} not made again")
    if "items" in case.tables and case.anonymous:
        notes.append("scores without their answers")
    return notes


def title(manifest: Mapping[str, Any]) -> str:
    """Learner, stream and seed."""
    return f"{manifest['learner']} on {manifest['stream']['name']}, seed {manifest['seed']}"


def _frames(run: RunTables, findings: Findings) -> dict[str, pd.DataFrame]:
    """The tables of a run that can be read; why the others cannot goes to `findings`."""
    frames = {}
    for name in run.kept if isinstance(run, PackedRun) else TABLES:
        try:
            frames[name] = run.table(name)
        except (OSError, *_ODD) as error:
            fault = _fault(error)
            findings.add(fault.reason, file=fault.file, table=name)
    return frames


def _files(packed: bool) -> dict[str, str]:
    return {name: member(name) if packed else f"tables/{name}" for name in TABLES}


def _fault(error: Exception) -> Finding:
    if isinstance(error, DamagedError):
        return Finding(error.reason, error.file)
    return Finding(str(error))
