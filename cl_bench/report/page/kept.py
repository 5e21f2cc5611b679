"""A run whose tables are read once, though leaderboard and page both ask for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from cl_bench.store.run_tables import RunTables, Selective
from cl_bench.store.schema import TABLES

if TYPE_CHECKING:
    import pandas as pd


class Kept:
    """A run as `RunTables` and `Selective`, of which what was read is kept."""

    def __init__(self, run: RunTables, ahead: Mapping[str, Sequence[str]] | None = None) -> None:
        """`ahead` are columns of tables that are read with those first asked for."""
        self._run, self._ahead = run, ahead or {}
        self._selective = run if isinstance(run, Selective) else None
        self._tables: dict[str, pa.Table] = {}

    @property
    def path(self) -> Path:
        """Where the run is kept."""
        return self._run.path

    @cached_property
    def manifest(self) -> Mapping[str, Any]:
        """The run's manifest, as it was when first asked for."""
        return self._run.manifest

    def table(self, name: str) -> pd.DataFrame:
        """All rows of a table."""
        return self._run.table(name)

    def select(
        self, name: str, columns: Sequence[str] | None = None, *, first: bool = False
    ) -> pa.Table:
        """Columns of a table, as `Selective.select`."""
        wanted = TABLES[name].names if columns is None else columns
        known = self._tables.get(name)
        if known is None or not {"step", *wanted} <= set(known.column_names):
            more = ("step", *wanted, *self._ahead.get(name, ()))
            known = self._read(name, (*more, *(known.column_names if known else ())))
            self._tables[name] = known
        found = known.select([column for column in known.column_names if column in wanted])
        return found.slice(0, _first_rows(known)) if first else found

    def _read(self, name: str, columns: Sequence[str]) -> pa.Table:
        if self._selective is not None:
            return self._selective.select(name, columns)
        frame = self._run.table(name)
        ordered = [column for column in frame if column in columns]
        return pa.Table.from_pandas(frame[ordered], preserve_index=False)


def _first_rows(table: pa.Table) -> int:
    """How many rows belong to the first evaluation, which were written first."""
    steps = table["step"].to_numpy()
    return int((steps == steps[0]).sum()) if len(steps) else 0
