"""The tables of a sweep's runs as the claims read them.

They are the same whether they come from run directories or from an archive, so that a page made
from either has the same bytes: `items` holds one mean score per test problem instead of every
response, and only of the start and the stages' ends; some columns are float32.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from cl_bench.contract.text import config_hash
from cl_bench.store import schema
from cl_bench.store.run_directory import RunDirectory
from cl_bench.sweep.cell import Cell
from cl_bench.sweep.state import FINISHED

TABLES = ("evaluations", "steps", "prompts", "ledger", "items")
"""The tables of `cl_bench.store.schema` that are kept."""
FLOAT32: Mapping[str, tuple[str, ...]] = {
    "evaluations": ("completion_tokens",),
    "steps": ("signal", "loss", "grad_norm", "entropy", "completion_tokens", "seconds"),
    "ledger": ("seconds",),
    "items": ("score",),
}
"""Columns whose rounding to float32 no verdict sees: accuracy, reward and KL stay float64."""
THINNED = (
    "items: the mean score over the samples of a problem, at the start and at stage ends; "
    "no answers. transcripts: none. timing: only its sum, in runs."
)
_OF_A_SAMPLE = ("sample", "score", "answer", "formatted", "truncated", "completion_tokens")
_PACKAGES = ("torch", "transformers", "trl")
_NONE: Mapping[str, str] = MappingProxyType({})
CODE = ("cl_bench", "git_commit", "git_dirty", "source_hash")

RUNS = pa.schema(
    [pa.field(name, pa.string(), nullable=False) for name in ("cell", "stream", "learner")]
    + [pa.field("seed", pa.int64(), nullable=False)]
    + [pa.field("start", pa.string())]
    + [pa.field("steps", pa.int64(), nullable=False)]
    + [pa.field(name, pa.string(), nullable=False) for name in ("model", "options", "status")]
    + [pa.field("reason", pa.string())]
    + [pa.field(name, pa.bool_() if name == "git_dirty" else pa.string()) for name in CODE]
    + [pa.field(name, pa.string()) for name in (*_PACKAGES, "model_hash")]
    + [pa.field("threads", pa.int64()), pa.field("seconds", pa.float64())]
)
"""One row per run: the cell, how the run ended, the code and packages that made it, a hash of the
files or the revision of the model it began with, its threads and its wall time in seconds."""


def table_schema(name: str) -> pa.Schema:
    """The columns of a kept table, without that of the cell."""
    fields = schema.TABLES[name]
    if name == "items":
        fields = [field for field in fields if field.name == "score" or _is_key(field.name)]
    single = FLOAT32.get(name, ())
    return pa.schema(
        [
            pa.field(field.name, pa.float32() if field.name in single else field.type)
            for field in fields
        ]
    )


def table_of(name: str, run: RunDirectory) -> pa.Table:
    """A kept table of a run, from its directory."""
    frame = run.table(name)
    if name == "items":
        evaluations = run.table("evaluations")
        ends = evaluations["step"][evaluations["at"] != "inside"]
        keys = [column for column in frame.columns if _is_key(column)]
        kept = frame[frame["step"].isin(ends)]
        frame = kept.groupby(keys, sort=False)["score"].mean().reset_index()
    kept_schema = table_schema(name)
    table = pa.Table.from_pandas(frame[kept_schema.names], schema=kept_schema, preserve_index=False)
    return table.replace_schema_metadata(None)


def missing_row(cell: Cell) -> dict[str, Any]:
    """The row of `RUNS` of a cell without a run: status `missing`."""
    row: dict[str, Any] = dict.fromkeys(RUNS.names)
    row |= {name: getattr(cell, name) for name in ("stream", "learner", "seed", "steps", "model")}
    options = json.dumps(dict(cell.options), sort_keys=True)
    start = cell.start.name if cell.start else None
    return row | {"cell": cell.name, "start": start, "options": options, "status": "missing"}


def row_of(cell: Cell, folder: Path, failures: Mapping[str, str] = _NONE) -> dict[str, Any]:
    """The cell's row of `RUNS`, from its run in `folder`, which may be missing.

    `failures` has, by the name of a cell that could not be made, the reason: more than the run's
    directory may know, if there is one. A directory that is no readable run is a
    `RunDirectoryError`.
    """
    row = _recorded(cell, folder / cell.name)
    if cell.name in failures and row["status"] not in FINISHED:
        row |= {"status": "failed", "reason": failures[cell.name]}
    return row


def _recorded(cell: Cell, path: Path) -> dict[str, Any]:
    if not (path / "manifest.json").exists():
        return missing_row(cell)
    run = RunDirectory.open(path)
    manifest = run.manifest
    found = manifest.get("provenance") or {}
    packages = found.get("packages") or {}
    return (
        missing_row(cell)
        | {name: found.get(name) for name in CODE}
        | {name: packages.get(name) for name in _PACKAGES}
        | {"status": manifest["status"], "reason": manifest.get("reason")}
        | {"model_hash": _model_hash(manifest)}
        | {"threads": manifest.get("threads"), "seconds": run.table("timing")["seconds"].sum()}
    )


def _model_hash(manifest: Mapping[str, Any]) -> str | None:
    """One name for all files of a run's model, or its revision; None where neither is known."""
    found = {name: manifest.get(name) for name in ("model_files", "model_revision")}
    return config_hash(found) if any(found.values()) else None


def _is_key(column: str) -> bool:
    """Whether a column of `items` tells problems apart, and not samples."""
    return column not in _OF_A_SAMPLE
