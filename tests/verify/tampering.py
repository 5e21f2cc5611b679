"""Forging results as a careful forger would: every hash fits again afterwards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from cl_bench.contract.errors import ClBenchError
from cl_bench.contract.text import config_hash
from cl_bench.store.packs.container import read, written
from cl_bench.store.packs.decode import encoded
from cl_bench.store.packs.layout import MANIFEST, PACK, member
from cl_bench.store.packs.packed import PackedRun
from cl_bench.store.schema import REAL, TABLES
from cl_bench.verify.packing import measured
from cl_bench.verify.run import verify_run


class Forgery:
    """A packed run taken apart, to be changed and put together again."""

    def __init__(self, pack: Path) -> None:
        self.pack, run = pack, PackedRun.open(pack)
        self.tables = {name: frame.copy() for name, frame in _tables(pack).items()}
        self.manifest: dict[str, Any] = json.loads(json.dumps(run.manifest))
        self.contents: dict[str, Any] = json.loads(json.dumps(run.contents))
        self.members: dict[str, bytes] = {}
        """Content of members that is put in place of what tables and manifest give."""
        self.left_out: set[str] = set()
        self.rehash_configuration = True

    def edit(self, table: str, column: str, value: object, **where: object) -> None:
        """Set a column in all rows that have these values; `value` may be a function of the old."""
        frame = self.tables[table]
        rows = self.rows(table, **where)
        assert rows.any(), (table, where)
        old = frame.loc[rows, column]
        frame.loc[rows, column] = old.map(value) if callable(value) else value

    def drop(self, table: str, **where: object) -> None:
        """Remove all rows that have these values."""
        rows = self.rows(table, **where)
        assert rows.any(), (table, where)
        self.tables[table] = self.tables[table][~rows].reset_index(drop=True)

    def rows(self, table: str, **where: object) -> pd.Series:
        """Which rows have these values."""
        frame = self.tables[table]
        chosen = pd.Series(True, index=frame.index)
        for column, value in where.items():
            chosen &= frame[column].eq(value)
        return chosen

    def write(self, path: Path, *, restate: bool = False) -> Path:
        """Write the forged pack; `restate` also computes its metrics again."""
        path.write_bytes(self._packed(self.contents["metrics"]))
        if restate:
            try:
                metrics = measured(PackedRun.open(path))
            except (ClBenchError, LookupError, TypeError, ValueError):
                return path  # too broken for metrics
            path.write_bytes(self._packed(metrics))
        return path

    def _packed(self, metrics: Mapping[str, Any]) -> bytes:
        members = self._members()
        entries: dict[str, Any] = {}
        for name, content in members.items():
            entries[name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        for name, frame in self.tables.items():
            if member(name) in entries:
                entries[member(name)]["rows"] = len(frame)
        contents = {**self.contents, "members": entries, "metrics": metrics}
        there = {name: content for name, content in members.items() if name not in self.left_out}
        return written({PACK: json.dumps(contents, indent=2).encode(), **there})

    def _members(self) -> dict[str, bytes]:
        if self.rehash_configuration:
            described = {name: self.manifest[name] for name in ("stream", "config")}
            self.manifest["config_hash"] = config_hash(described)
        found = {MANIFEST: json.dumps(self.manifest, indent=2).encode()}
        for name, frame in self.tables.items():
            if member(name) in self.members:
                continue
            if frame.equals(_tables(self.pack)[name]):
                found[member(name)] = read(self.pack, member(name))
                continue
            columns = [_column(frame[field.name], field) for field in TABLES[name]]
            found[member(name)] = encoded(pa.Table.from_arrays(columns, schema=TABLES[name]))
        return found | self.members


@cache
def _tables(pack: Path) -> dict[str, pd.DataFrame]:
    run = PackedRun.open(pack)
    return {name: run.table(name) for name in run.kept}


def _column(values: pd.Series, field: pa.Field) -> pa.Array:
    """NaN is a number in columns of real numbers, and null in others."""
    if field.type == REAL:
        return pa.array(values.to_numpy(dtype=float), field.type)
    return pa.array(values.astype(object).where(values.notna(), None).tolist(), field.type)


Tamper = Callable[[Forgery], None]
INSIDE = {"step": 2, "domain": "math", "prompt": "learner"}
"""An evaluation in the middle of the first stage, which was trained on math."""


def edit(table: str, column: str, value: object, **where: object) -> Tamper:
    """See `Forgery.edit`."""
    return lambda run: run.edit(table, column, value, **where)


def drop(table: str, **where: object) -> Tamper:
    """See `Forgery.drop`."""
    return lambda run: run.drop(table, **where)


def both(*tampers: Tamper) -> Tamper:
    """One after the other."""

    def tamper(run: Forgery) -> None:
        for each in tampers:
            each(run)

    return tamper


def duplicate(table: str) -> Tamper:
    """The first rows once more."""

    def tamper(run: Forgery) -> None:
        frame = run.tables[table]
        run.tables[table] = pd.concat([frame, frame.iloc[:3]], ignore_index=True)

    return tamper


def option(value: object, *path: str | int) -> Tamper:
    """Another entry in the manifest."""

    def tamper(run: Forgery) -> None:
        found: Any = run.manifest
        for name in path[:-1]:
            found = found[name]
        found[path[-1]] = value

    return tamper


def require_found(tamper: Tamper, words: str, file: str, pack: Path, target: Path) -> None:
    """A pack that was forged has a finding with these words, in that file."""
    forged = Forgery(pack)
    tamper(forged)
    report = verify_run(forged.write(target))
    told = [(found.file, found.text()) for found in report.findings]
    assert any(where == file and words in text for where, text in told), report.text()
