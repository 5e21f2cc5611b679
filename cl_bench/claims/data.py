"""The tables of a sweep's runs, from wherever they are kept: the claims are measured on them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from cl_bench.contract.errors import RunDirectoryError, unknown
from cl_bench.contract.text import config_hash
from cl_bench.metrics.arrays import Array
from cl_bench.metrics.undefined import Undefined
from cl_bench.store.run_directory import RunDirectory
from cl_bench.store.run_tables import RunTables, open_run
from cl_bench.store.schema import TABLES
from cl_bench.sweep.cell import Cell
from cl_bench.sweep.state import FINISHED, NO_START, why_no_start

if TYPE_CHECKING:
    import pandas as pd


_CODE = ("cl_bench", "git_commit", "git_dirty", "source_hash")
_PACKAGES = ("torch", "transformers", "trl")
RUNS = pa.schema(
    [pa.field(name, pa.string()) for name in ("cell", "learner", "start", "model")]
    + [pa.field(name, pa.string()) for name in ("status", "reason")]
    + [pa.field(name, pa.bool_() if name == "git_dirty" else pa.string()) for name in _CODE]
    + [pa.field(name, pa.string()) for name in (*_PACKAGES, "model_hash")]
    + [pa.field("seconds", pa.float64())]
)
"""One row per run: the cell, how the run ended, the code and packages that made it, a hash of the
files or the revision of the model it began with, and its wall time in seconds."""

NO_FAILURES: Mapping[str, str] = MappingProxyType({})


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
    cells: Iterable[Cell], folder: Path, failures: Mapping[str, str] = NO_FAILURES
) -> dict[str, Recorded]:
    """By name, the runs of these cells in `folder/<cell.name>`; some may be missing.

    `failures` has, by the name of a cell that could not be made, the reason: more than the run's
    directory may know, if there is one. A directory that is not a readable run
    raises `RunDirectoryError`.
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


class Data:
    """The tidy tables of a sweep's runs; a run that several sources have comes from the first one
    where it is finished. A source has runs by the names of their cells."""

    def __init__(self, sources: Sequence[Mapping[str, Recorded]]) -> None:
        self._sources = sources
        self._runs: dict[str, RunTables] = {}
        self._frames: dict[tuple[str, str], pd.DataFrame] = {}

    @classmethod
    def of_runs(
        cls, cells: Iterable[Cell], folder: Path, failures: Mapping[str, str] = NO_FAILURES
    ) -> Data:
        """From the run directories `folder/<cell.name>`; each may be missing.

        `failures` has, by name, why a cell could not be made.
        """
        return cls([in_directories(cells, folder, failures)])

    def runs(self, cells: Iterable[Cell]) -> pd.DataFrame:
        """One row per cell, with the columns of `RUNS`."""
        return pa.Table.from_pylist([self._row(cell) for cell in cells], RUNS).to_pandas()

    def table(self, name: str, cell: Cell) -> pd.DataFrame | Undefined:
        """A table of the cell's run, its rows in the order they were written.

        `Undefined` with the reason if the run is missing, unfinished, failed or diverged, or if
        the one it starts from diverged.
        """
        if name not in TABLES:
            raise unknown("table", name, TABLES)
        found = self._of(cell)
        if found.status != "done":
            return _why_not(cell.name, found)
        if (name, cell.name) not in self._frames:
            self._frames[name, cell.name] = self._run(cell, found).table(name)
        return self._frames[name, cell.name].copy()

    def curve(
        self, cell: Cell, domain: str, *, prompt: str = "learner", peaks: bool = False
    ) -> pd.DataFrame | Undefined:
        """The rows of `evaluations` of the stream's problems and the trained policy, by step.

        With `peaks` those of validation problems, if the run was asked any: peaks are theirs.
        """
        rows = self._evaluations(cell, domain, prompt, "trained", "stream")
        if peaks:
            found = self._evaluations(cell, domain, prompt, "trained", "validation")
            rows = rows if isinstance(found, Undefined) else found
        return rows if isinstance(rows, Undefined) else rows.sort_values("step", ignore_index=True)

    def cell_accuracy(
        self,
        cell: Cell,
        domain: str,
        *,
        at: Literal["start", "end"] | int = "end",
        prompt: str = "learner",
        weights: str = "trained",
        test_set: str = "stream",
    ) -> float | Undefined:
        """Accuracy before training, at the end of the run, or at the end of a stage (from 1)."""
        rows = self._evaluations(cell, domain, prompt, weights, test_set)
        if isinstance(rows, Undefined):
            return rows
        if isinstance(at, int):
            found = rows[(rows["stage"] == at) & (rows["at"] == "stage-end")]
        else:
            found = rows[rows["at"] == "start"] if at == "start" else _last(rows)
        if found.empty:
            where = f"the end of stage {at}" if isinstance(at, int) else f"its {at}"
            return Undefined(f"run {cell.name} has no accuracy on {domain} at {where}")
        return float(found["accuracy"].iloc[-1])

    def accuracy_matrix(
        self, cell: Cell, stages: Sequence[str], *, prompt: str = "learner"
    ) -> Array | Undefined:
        """acc_I_J of the cell's run on a stream of these domains, shape (T+1, T); NaN where
        nothing was evaluated."""
        from cl_bench.report.summary import accuracy_matrix

        table = self.table("evaluations", cell)
        return table if isinstance(table, Undefined) else accuracy_matrix(table, stages, prompt)

    def _evaluations(
        self, cell: Cell, domain: str, prompt: str, weights: str, test_set: str
    ) -> pd.DataFrame | Undefined:
        rows = self.table("evaluations", cell)
        if isinstance(rows, Undefined):
            return rows
        wanted = {"domain": domain, "prompt": prompt, "weights": weights, "test_set": test_set}
        for column, value in wanted.items():
            rows = rows[rows[column] == value]
        if rows.empty:
            asked = f"{domain} ({test_set}, {prompt} prompt, {weights} weights)"
            return Undefined(f"run {cell.name} was not evaluated on {asked}")
        return rows

    def _of(self, cell: Cell) -> Recorded:
        """The cell's run; what has no start has a status that says so."""
        having = [source[cell.name] for source in self._sources if cell.name in source]
        found = min(having, key=lambda run: _RANK.get(run.status, 1), default=MISSING)
        if found.status in FINISHED or cell.start is None:
            return found
        why = why_no_start(cell, self._of(cell.start).status)
        return found if why is None else replace(found, status=NO_START, reason=why)

    def _run(self, cell: Cell, found: Recorded) -> RunTables:
        """The cell's run, read; `RunDirectoryError` if it is one of another cell."""
        if cell.name not in self._runs:
            assert found.path is not None
            run = open_run(found.path)
            _require_run_of(cell, run)
            self._runs[cell.name] = run
        return self._runs[cell.name]

    def _row(self, cell: Cell) -> dict[str, Any]:
        found = self._of(cell)
        row: dict[str, Any] = dict.fromkeys(RUNS.names)
        row |= {"cell": cell.name, "learner": cell.learner, "model": cell.model}
        row |= {"start": cell.start.name if cell.start else None}
        row |= {"status": found.status, "reason": found.reason, "seconds": found.seconds}
        if found.path is None:
            return row
        manifest = self._run(cell, found).manifest
        came = manifest.get("provenance") or {}
        packages = came.get("packages") or {}
        return (
            row
            | {name: came.get(name) for name in _CODE}
            | {name: packages.get(name) for name in _PACKAGES}
            | {"model_hash": _model_hash(manifest)}
        )


_RANK = {**dict.fromkeys(FINISHED, 0), "missing": 2}


def _require_run_of(cell: Cell, run: RunTables) -> None:
    """Raise `RunDirectoryError` unless a run is one of the cell: what may be seen of that."""
    manifest, config = run.manifest, _leaves(run.manifest.get("config") or {})
    told = {"learner": manifest.get("learner"), "seed": manifest.get("seed")}
    wanted = {"learner": cell.learner, "seed": cell.seed}
    wanted |= {name: value for name, value in cell.options.items() if name in config}
    for name, value in wanted.items():
        found = (config | told)[name]
        if found != value:
            raise RunDirectoryError(
                f"{run.path} is not a run of {cell.name}: its {name} is {found!r}, not {value!r}. "
                "Restore it from a copy, or move it away and make the run again."
            )


def _leaves(config: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a nested configuration by their own names."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        found |= _leaves(value) if isinstance(value, Mapping) else {name: value}
    return found


def _model_hash(manifest: Mapping[str, Any]) -> str | None:
    """One name for all files of a run's model, or its revision; None where neither is known."""
    found = {name: manifest.get(name) for name in ("model_files", "model_revision")}
    return config_hash(found) if any(found.values()) else None


def _last(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the last stage's end."""
    return rows[(rows["step"] == rows["step"].max()) & (rows["at"] == "stage-end")]


def _why_not(cell: str, found: Recorded) -> Undefined:
    status, reason = found.status, found.reason or ""
    if status == "diverged":
        step = re.match(r"Step (\d+) ", reason)
        return Undefined(f"run {cell} diverged" + (f" at step {step[1]}" if step else ""))
    words = {"missing": "is missing", "running": "is unfinished", NO_START: "has no start"}
    said = words.get(status, status)
    return Undefined(f"run {cell} {said}" + (f": {reason}" if reason else ""))
