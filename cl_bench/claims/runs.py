"""The runs of the claims, where they are kept: a sweep's directories, or an archive of packed runs.

    index.json         the plan, what was registered when the archive was begun, and by cell how its
                       run ended, its wall time and the SHA-256 of its pack
    runs/<cell>.zip    the run of every finished cell, packed (`cl_bench.store.packs`)

The same runs give the same bytes. An archive can be extended on another machine: runs that are not
there stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cl_bench.claims.plan import Plan
from cl_bench.contract.errors import DamagedError, RunDirectoryError
from cl_bench.contract.text import printable
from cl_bench.store.files import file_hash, read_json
from cl_bench.store.packs.layout import SUFFIX
from cl_bench.store.run_directory import RunDirectory
from cl_bench.sweep.cell import Cell
from cl_bench.sweep.state import FINISHED

INDEX, RUNS = "index.json", "runs"
ARCHIVE_VERSION = 1
"""Counts up whenever an entry of the index changes its meaning."""
_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Recorded:
    """How a cell's run ended, and where it is."""

    status: str
    reason: str | None = None
    seconds: float | None = None
    """Its wall time."""
    path: Path | None = None
    """The run directory or packed run; None where none is kept."""


MISSING = Recorded("missing")


def in_directories(
    cells: Iterable[Cell], folder: Path, failures: Mapping[str, str] = _NONE
) -> dict[str, Recorded]:
    """By name, the runs of these cells in `folder/<cell.name>`; some may be missing.

    `failures` has, by the name of a cell that could not be made, the reason: more than the run's
    directory may know, if there is one. A directory that is no readable run is a
    `RunDirectoryError`.
    """
    found = {}
    for cell in cells:
        run = _in_directory(folder / cell.name)
        if cell.name in failures and run.status not in FINISHED:
            run = replace(run, status="failed", reason=failures[cell.name])
        found[cell.name] = run
    return found


def _in_directory(path: Path) -> Recorded:
    if not (path / "manifest.json").exists():
        return MISSING
    run = RunDirectory.open(path)
    manifest, seconds = run.manifest, float(run.table("timing")["seconds"].sum())
    return Recorded(manifest["status"], manifest.get("reason"), seconds, path)


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
        """The archive in a folder; `RunDirectoryError` names a file that is not its."""
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
    """What the index says of a cell's run, whose pack must be the one it names."""
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
