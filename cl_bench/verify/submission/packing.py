"""Packing a run: its manifest and tables as one file, the same bytes every time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cl_bench.analysis.run_values import METRIC_VERSION, run_metrics
from cl_bench.contract.errors import RunDirectoryError
from cl_bench.metrics.undefined import Undefined
from cl_bench.store.files import replacing, writing
from cl_bench.store.packs import container
from cl_bench.store.packs.decode import encoded
from cl_bench.store.packs.layout import (
    LEFT_OUT,
    MANIFEST,
    PACK,
    PACK_VERSION,
    member,
    require_finished,
)
from cl_bench.store.run_directory import RunDirectory
from cl_bench.store.run_tables import RunTables
from cl_bench.store.schema import SCHEMA_VERSION, TABLES


@dataclass(frozen=True, eq=False)
class Pack:
    """A run, packed."""

    manifest: Mapping[str, Any]
    contents: Mapping[str, Any]
    """What its pack.json says."""
    content: bytes
    """The file."""

    def write(self, out: Path) -> None:
        """Write the file, whole or not at all; what is there under that name is replaced."""
        out.parent.mkdir(parents=True, exist_ok=True)
        with writing(out.parent), replacing(out) as temporary:
            temporary.write_bytes(self.content)


def pack(run: RunDirectory) -> Pack:
    """The run of a directory as a pack; one that has not ended is a `RunDirectoryError`.

    Tables are held against their hashes on the way; nothing else is checked (see
    `cl_bench.verify`).
    """
    manifest = run.manifest
    require_finished(manifest, run.path)
    tables = {name: run.select(name) for name in TABLES}
    members = {MANIFEST: _read(run.path / MANIFEST)}
    members |= {member(name): encoded(table) for name, table in tables.items()}
    entries = {name: _entry(content) for name, content in members.items()}
    for name, table in tables.items():
        entries[member(name)]["rows"] = len(table)
    contents = {
        "pack_version": PACK_VERSION,
        "schema_version": SCHEMA_VERSION,
        "members": entries,
        "left_out": LEFT_OUT,
        "metrics": measured(run),
    }
    text = json.dumps(contents, indent=2, allow_nan=False, ensure_ascii=True) + "\n"
    return Pack(manifest, contents, container.written({PACK: text.encode(), **members}))


def measured(run: RunTables) -> dict[str, Any]:
    """The metrics of a run as plain data: their version, a value or the reason why there is none.

    Values have twelve digits, so that machines that add in another order write the same ones.
    """
    values = {
        name: {"undefined": value.reason}
        if isinstance(value, Undefined)
        else {"value": float(f"{value:.12g}")}
        for name, value in run_metrics(run).items()
    }
    return {"version": METRIC_VERSION, "values": values}


def _entry(content: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise RunDirectoryError(
            f"Cannot read {file}: {error.strerror}. Restore it from a copy."
        ) from error
