"""A run whose small tables are read once, though leaderboard and page both ask for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from cl_bench.run_tables import RunTables, Selective

if TYPE_CHECKING:
    import pandas as pd

_LARGE = ("items", "transcripts")
"""Tables that are read anew each time: a thousand runs of them would fill the memory."""


class Kept:
    """A run as `RunTables` and `Selective`, of which what was read is kept."""

    def __init__(self, run: RunTables) -> None:
        self._run = run
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
        if name in _LARGE or first:
            return self._read(name, columns, first)
        if name not in self._tables:
            self._tables[name] = self._read(name, None, first=False)
        table = self._tables[name]
        return table if columns is None else table.select(_in_order(table, columns))

    def _read(self, name: str, columns: Sequence[str] | None, first: bool) -> pa.Table:
        if isinstance(self._run, Selective):
            return self._run.select(name, columns, first=first)
        table = pa.Table.from_pandas(self._run.table(name), preserve_index=False)
        return table if columns is None else table.select(_in_order(table, columns))


def _in_order(table: pa.Table, columns: Sequence[str]) -> list[str]:
    """These columns in the order of the table's."""
    return [name for name in table.column_names if name in columns]
