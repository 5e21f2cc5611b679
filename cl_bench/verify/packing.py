"""Packing a run (the same bytes every time), and what is special about verifying a packed one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isclose
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cl_bench.analysis.run_values import METRIC_VERSION, RUN_METRICS, run_metrics
from cl_bench.contract.errors import ClBenchError, RunDirectoryError
from cl_bench.contract.text import counted, printable
from cl_bench.metrics.undefined import Undefined
from cl_bench.store.files import replacing, writing
from cl_bench.store.packs import container
from cl_bench.store.packs.layout import (
    LEFT_OUT,
    MANIFEST,
    PACK,
    PACK_VERSION,
    SUFFIX,
    home,
    member,
    place,
    require_finished,
)
from cl_bench.store.packs.packed import PackedRun
from cl_bench.store.run_directory import RunDirectory
from cl_bench.store.run_tables import RunTables
from cl_bench.store.schema import SCHEMA_VERSION, TABLES
from cl_bench.verify.findings import Findings

if TYPE_CHECKING:
    import pandas as pd

PLACE = "runs"
"""The folder of packed runs, in which every one has its place."""
_ODD = (ClBenchError, LookupError, TypeError, ValueError)
_ADDED = {"pass_at_k", "greedy_accuracy", "completion_tokens"}
"""Metrics that packs made before they were measured do not state."""


@dataclass(frozen=True, eq=False)
class Pack:
    """A run, packed."""

    manifest: Mapping[str, Any]
    contents: Mapping[str, Any]
    """The content of its pack.json."""
    content: bytes
    """The file."""

    def write(self, out: Path) -> None:
        """Write the file, whole or not at all; what is there under that name is replaced."""
        out.parent.mkdir(parents=True, exist_ok=True)
        with writing(out.parent, run=False), replacing(out) as temporary:
            temporary.write_bytes(self.content)


def pack(run: RunDirectory) -> Pack:
    """The run of a directory as a pack; one that has not ended is a `RunDirectoryError`.

    Tables are held against their hashes on the way; nothing else is checked.
    """
    manifest = run.manifest
    require_finished(manifest, run.path)
    tables = {name: run.select(name) for name in TABLES}
    try:
        members = {MANIFEST: (run.path / MANIFEST).read_bytes()}
    except OSError as error:
        raise RunDirectoryError(
            f"Cannot read {run.path / MANIFEST}: {error.strerror}. Restore it from a copy."
        ) from error
    members |= {member(name): container.encoded(table) for name, table in tables.items()}
    entries: dict[str, dict[str, Any]] = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        for name, content in members.items()
    }
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


def check_pack(run: PackedRun, frames: Mapping[str, pd.DataFrame], findings: Findings) -> list[str]:
    """Add faults of a packed run to `findings`; return notes for its reader."""
    if container.holds_more(run.path):
        findings.add("the zip file holds more than its members: pack the run again")
    for name, frame in frames.items():
        said = run.contents["members"][member(name)].get("rows")
        if said != len(frame):
            shown = printable(repr(said), 40)
            findings.add(
                f"it has {counted(len(frame), 'row')}, but {PACK} says {shown}", table=name
            )
    _check_place(run, findings)
    lacking = [name for name in TABLES if name not in run.kept]
    notes = [f"without {', '.join(lacking)}"] if lacking else []
    return notes + _check_metrics(run, findings)


def _check_place(run: PackedRun, findings: Findings) -> None:
    """Below a folder `runs` a pack has the name that its manifest gives it."""
    folder, name = run.path.resolve().parent, run.path.name
    if folder.parent.name != PLACE:
        return
    try:
        belongs = place(run.manifest)
    except _ODD:
        return  # the manifest has findings of its own
    named = name == belongs.name or name.startswith(f"{belongs.name.removesuffix(SUFFIX)}-")
    if folder.name != belongs.parent.name or not named:
        findings.add(f"it lies under the name of another run; it belongs to {home(run.manifest)}")


def _check_metrics(run: PackedRun, findings: Findings) -> list[str]:
    """The metrics in pack.json are those of the tables."""
    stated: Any = run.contents.get("metrics")
    if not isinstance(stated, dict) or not isinstance(stated.get("values"), dict):
        findings.add("it states no metrics", file=PACK)
        return []
    try:
        again = measured(run)
    except _ODD as error:
        reason = f"its metrics cannot be computed again ({printable(str(error), 200)})"
        findings.add(reason, file=PACK)
        return []
    if (version := stated.get("version")) not in range(1, METRIC_VERSION + 1):
        shown = printable(repr(version), 20)
        known = f"there is none above {METRIC_VERSION}"
        findings.add(f"its metrics are stated in version {shown}; {known}", file=PACK)
    elif version != METRIC_VERSION:
        return [f"metrics stated in version {version}"]
    for name in sorted(stated["values"].keys() | RUN_METRICS.keys() - _ADDED):
        said, found = stated["values"].get(name), again["values"].get(name)
        if not _same(said, found):
            told = f"{printable(name, 60)} is stated as {_shown(said)}"
            findings.add(f"{told}, but its tables give {_shown(found)}", file=PACK)
    return []


def _same(said: Any, found: Any) -> bool:
    first, second = (e.get("value") if isinstance(e, dict) else None for e in (said, found))
    if isinstance(first, int | float) and isinstance(second, int | float):
        return isclose(first, second, rel_tol=1e-9, abs_tol=1e-9)
    return bool(said == found)


def _shown(entry: Any) -> str:
    if isinstance(entry, dict) and len(entry) == 1:
        (value,) = entry.values()
        return printable(str(value), 100)
    return "nothing" if entry is None else printable(repr(entry), 100)
