"""What the claims are measured on: the tables of a sweep's runs, from wherever they are kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol

import pyarrow as pa

from cl_bench.claims.archive import Archive
from cl_bench.claims.tables import RUNS, TABLES, missing_row, row_of, table_of
from cl_bench.contract.errors import unknown
from cl_bench.metrics.arrays import Array
from cl_bench.metrics.undefined import Undefined
from cl_bench.store.run_directory import RunDirectory
from cl_bench.sweep.cell import Cell
from cl_bench.sweep.state import FINISHED, NO_START, why_no_start

if TYPE_CHECKING:
    import pandas as pd


class Source(Protocol):
    """Where runs are kept."""

    @property
    def rows(self) -> Mapping[str, Mapping[str, Any]]:
        """By a cell's name its row of `RUNS`."""
        ...

    def table(self, name: str, cell: str) -> pa.Table:
        """One of `TABLES` of a cell whose run is finished."""
        ...


class Data:
    """The tidy tables of a sweep's runs; a run that several sources have comes from the first one
    where it is finished."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self._frames: dict[tuple[str, str], pd.DataFrame] = {}

    @classmethod
    def of_runs(
        cls,
        cells: Iterable[Cell],
        folder: Path,
        failures: Mapping[str, str] = MappingProxyType({}),
    ) -> Data:
        """From the run directories `folder/<cell.name>`; each may be missing.

        `failures` has, by name, why a cell could not be made.
        """
        return cls([_Directories(cells, folder, failures)])

    @classmethod
    def of_archive(cls, path: Path) -> Data:
        """From the Parquet files that `write_archive` made."""
        return cls([Archive.read(path)])

    def merged(self, other: Data) -> Data:
        """Both; a run that is finished in both comes from this one."""
        return Data([*self._sources, *other._sources])

    def runs(self, cells: Iterable[Cell] | None = None) -> pd.DataFrame:
        """One row per cell, with the columns of `RUNS`; all that are known, or these ones."""
        if cells is None:
            names = dict.fromkeys(name for source in self._sources for name in source.rows)
            rows = [self._row(name)[0] for name in names]
        else:
            rows = [self._of(cell)[0] for cell in cells]
        return pa.Table.from_pylist(rows, schema=RUNS).to_pandas()

    def table(self, name: str, cell: Cell) -> pd.DataFrame | Undefined:
        """One of `TABLES` of the cell's run, its rows in the order they were written.

        `Undefined` with the reason if the run is missing, unfinished, failed or diverged, or if
        the one it starts from diverged.
        """
        if name not in TABLES:
            raise unknown("table", name, TABLES)
        row, source = self._of(cell)
        if row["status"] != "done" or source is None:
            return _why_not(cell.name, row)
        if (name, cell.name) not in self._frames:
            self._frames[name, cell.name] = source.table(name, cell.name).to_pandas()
        return self._frames[name, cell.name].copy()

    def curve(
        self, cell: Cell, domain: str, *, prompt: str = "learner"
    ) -> pd.DataFrame | Undefined:
        """The rows of `evaluations` of the stream's problems and the trained policy, by step."""
        rows = self._evaluations(cell, domain, prompt, "trained", "stream")
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

    def _of(self, cell: Cell) -> tuple[Mapping[str, Any], Source | None]:
        """The cell's row and the source it is from; what has no start has a status that says so."""
        row, source = self._row(cell.name)
        row = row or missing_row(cell)
        if row["status"] in FINISHED or cell.start is None:
            return row, source
        why = why_no_start(cell, self._of(cell.start)[0]["status"])
        lost = {} if why is None else {"status": NO_START, "reason": why}
        return {**row, **lost}, source

    def _row(self, name: str) -> tuple[Mapping[str, Any], Source | None]:
        """The cell's row and the source it is from; the first finished one, if there is any."""
        having = [(source.rows[name], source) for source in self._sources if name in source.rows]
        having.sort(key=lambda found: _RANK.get(found[0]["status"], 1))
        return having[0] if having else ({}, None)


_RANK = {**dict.fromkeys(FINISHED, 0), "missing": 2}


class _Directories:
    """Runs in the directories that a sweep leaves."""

    def __init__(self, cells: Iterable[Cell], folder: Path, failures: Mapping[str, str]) -> None:
        self._cells, self._folder, self._failures = tuple(cells), folder, failures

    @cached_property
    def rows(self) -> Mapping[str, Mapping[str, Any]]:
        return {cell.name: row_of(cell, self._folder, self._failures) for cell in self._cells}

    def table(self, name: str, cell: str) -> pa.Table:
        return table_of(name, RunDirectory.open(self._folder / cell))


def _last(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the last stage's end."""
    return rows[(rows["step"] == rows["step"].max()) & (rows["at"] == "stage-end")]


def _why_not(cell: str, row: Mapping[str, Any]) -> Undefined:
    status, reason = row["status"], row["reason"] or ""
    if status == "diverged":
        step = re.match(r"Step (\d+) ", reason)
        return Undefined(f"run {cell} diverged" + (f" at step {step[1]}" if step else ""))
    words = {"missing": "is missing", "running": "is unfinished", NO_START: "has no start"}
    said = words.get(status, status)
    return Undefined(f"run {cell} {said}" + (f": {reason}" if reason else ""))
