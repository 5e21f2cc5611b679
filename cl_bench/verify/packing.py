"""What is special about a packed run: its container, its place and the metrics that it states."""

from __future__ import annotations

from collections.abc import Mapping
from math import isclose
from typing import TYPE_CHECKING, Any

from cl_bench.analysis.run_values import RUN_METRICS
from cl_bench.contract.errors import ClBenchError
from cl_bench.contract.text import printable
from cl_bench.store.packs import container
from cl_bench.store.packs.layout import PACK, SUFFIX, home, member, place
from cl_bench.store.packs.packed import PackedRun
from cl_bench.store.schema import TABLES
from cl_bench.verify.findings import Findings
from cl_bench.verify.submission.packing import measured

if TYPE_CHECKING:
    import pandas as pd

PLACE = "runs"
"""The folder of packed runs, in which every one has its place."""
_ODD = (ClBenchError, LookupError, TypeError, ValueError)


def check_pack(run: PackedRun, frames: Mapping[str, pd.DataFrame], findings: Findings) -> list[str]:
    """What is wrong goes to `findings`; returned is what a reader should know besides."""
    if container.holds_more(run.path):
        findings.add("the zip file holds more than its members: pack the run again")
    entries = run.contents["members"]
    for name, frame in frames.items():
        said = entries[member(name)].get("rows")
        if said != len(frame):
            findings.add(
                f"it has {len(frame)} rows, but {PACK} says {printable(repr(said), 40)}",
                file=member(name),
                table=name,
            )
    _check_place(run, findings)
    lacking = [name for name in TABLES if name not in run.kept]
    notes = [f"without {', '.join(lacking)}"] if lacking else []
    return notes + _check_metrics(run, findings)


def _check_place(run: PackedRun, findings: Findings) -> None:
    """Below a folder `runs` a pack has the name that its manifest gives it."""
    folder = run.path.resolve().parent
    if folder.parent.name != PLACE:
        return
    try:
        belongs = place(run.manifest)
    except _ODD:
        return  # the manifest has findings of its own
    name = run.path.name
    plain = belongs.name.removesuffix(SUFFIX)
    if folder.name != belongs.parent.name or not (
        name == belongs.name or name.startswith(f"{plain}-")
    ):
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
    if stated.get("version") != again["version"]:
        return [f"metrics stated in version {printable(repr(stated.get('version')), 20)}"]
    for name in sorted(stated["values"].keys() | RUN_METRICS.keys()):
        said, found = stated["values"].get(name), again["values"].get(name)
        if not _same(said, found):
            findings.add(
                f"{printable(name, 60)} is stated as {_shown(said)}, but its tables give "
                f"{_shown(found)}",
                file=PACK,
            )
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
