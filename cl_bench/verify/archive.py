"""An archive of claims: what its thinned tables still let anybody compute again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cl_bench.claims.archive import Archive, description
from cl_bench.claims.tables import TABLES
from cl_bench.contract.errors import ClBenchError, DamagedError, UsageError
from cl_bench.contract.learner import LearnerConfig
from cl_bench.contract.plugins import STREAM_SEPARATOR
from cl_bench.contract.registry import DOMAINS, STREAMS
from cl_bench.contract.stream import Stream, stream
from cl_bench.execution.presets import preset_of
from cl_bench.store.files import read_json
from cl_bench.store.schema import SCHEMA_VERSION
from cl_bench.sweep.cell import Cell
from cl_bench.sweep.state import FINISHED
from cl_bench.verify.case import Case
from cl_bench.verify.findings import Finding, Findings, Report
from cl_bench.verify.manifest import FILE
from cl_bench.verify.places import grid, places
from cl_bench.verify.problems import scores
from cl_bench.verify.run import CHECKS, check_tables

_RUNS = "runs.parquet"
_EVALUATION = (
    *("items", "samples", "kl_items", "retention_items"),
    *("temperature", "probes", "max_new_tokens"),
)
_COUNTED = ("cells", "status", "code")
_PLACES = (places, grid)
_ODD = (LookupError, TypeError, ValueError)


def verify_archive(path: Path) -> Report:
    """The report of the archive in the folder `path`; nothing in it raises."""
    report = Report(path, "archive of claims")
    try:
        archive = Archive.read(path)
        manifest = read_json(path / FILE)
    except DamagedError as error:
        report.findings.append(Finding(error.reason, error.file))
        return report
    except (ClBenchError, OSError, *_ODD) as error:
        report.findings.append(Finding(str(error), FILE))
        return report
    findings = Findings({name: f"{name}.parquet" for name in TABLES})
    _check_counts(archive, manifest, findings)
    finished = [name for name, row in archive.rows.items() if row["status"] in FINISHED]
    for name in sorted(archive.rows):
        _check_cell(archive, name, findings)
    for table in TABLES:
        for cell in sorted(set(archive.tables[table]) - set(finished)):
            findings.add("its cell is no finished run of runs.parquet", table=table, key=cell)
        report.checked[table] = sum(len(rows) for rows in archive.tables[table].values())
    report.title = f"{len(finished)} finished runs"
    report.notes.append("thinned: items without answers, of stage ends only")
    report.findings += findings.found
    return report


def _check_counts(archive: Archive, manifest: Mapping[str, Any], findings: Findings) -> None:
    again = description(archive)
    for name in _COUNTED:
        if manifest.get(name) != again[name]:
            reason = f"{name} is not what {_RUNS} gives: {json.dumps(again[name])}"
            findings.add(reason, file=FILE)


def _check_cell(archive: Archive, name: str, findings: Findings) -> None:
    """The cell's row of runs, and the tables of its run."""
    row = archive.rows[name]
    findings.prefix = name
    try:
        cell = _cell(archive, name)
        if cell is not None and cell.name != name:
            reason = f"the settings of the row are those of {cell.name}"
            findings.add(reason, file=_RUNS, key="name of the cell")
        if row["status"] in FINISHED:
            _check_tables(archive, row, findings)
    except (ClBenchError, *_ODD) as error:
        findings.add(f"its run cannot be checked ({error})", file=_RUNS)
    findings.prefix = ""


def _check_tables(archive: Archive, row: Mapping[str, Any], findings: Findings) -> None:
    tables = {
        name: archive.table(name, row["cell"]).to_pandas(use_threads=False) for name in TABLES
    }
    case = Case(_manifest(row), tables, findings, thinned=True)
    left_out = [scores]
    if case.option("eval_every") is None:
        left_out += _PLACES
    check_tables(case, tuple(check for check in CHECKS if check[0] not in left_out))


def _manifest(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a run's manifest would say, as far as its row of runs tells."""
    options = {**preset_of(row["model"]).options, **json.loads(row["options"])}
    described = _stream(row["stream"], row["steps"], options.get("setting"))
    defaults = asdict(LearnerConfig())
    learning = defaults | {name: options[name] for name in defaults if name in options}
    evaluation = {name: options[name] for name in _EVALUATION if name in options}
    return {
        "schema_version": SCHEMA_VERSION,
        "stream": described.describe(),
        "learner": row["learner"],
        "seed": row["seed"],
        "status": row["status"],
        "config": {
            "eval_every": options.get("eval_every"),
            "learning": learning,
            "evaluation": evaluation,
        },
    }


def _stream(name: str, steps: int, setting: str | None) -> Stream:
    """A stream over built-in domains; any other is a `UsageError`, and nothing of it is loaded.

    A name from an archive is a stranger's text: a data file's may name a function to be imported.
    """
    built_in = name in STREAMS.table or set(name.split(STREAM_SEPARATOR)) <= set(DOMAINS.table)
    if not built_in:
        raise UsageError(f"the stream {name!r} is not over built-in domains")
    return stream(name, steps=steps, setting=setting)


def _cell(archive: Archive, name: str) -> Cell | None:
    """The cell that a row of runs describes; None if the one it starts from is not there."""
    row = archive.rows[name]
    start = None
    if row["start"] is not None:
        if row["start"] not in archive.rows or row["start"] == name:
            return None
        start = _cell(archive, row["start"])
        if start is None:
            return None
    return Cell(
        row["stream"],
        row["learner"],
        row["seed"],
        row["steps"],
        json.loads(row["options"]),
        start,
        row["model"],
    )
