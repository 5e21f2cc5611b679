"""Runs that are read for a page, each once, of which only what is small stays in memory."""

from __future__ import annotations

import os
import pickle
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from weakref import finalize

import pyarrow as pa

from cl_bench.analysis.entries import DAMAGED, RunEntry
from cl_bench.execution.processes import in_order
from cl_bench.report.board import RunProblem
from cl_bench.report.leaderboard import entry_of
from cl_bench.report.page.digest import READ, Digest, digest
from cl_bench.store.run_tables import RunTables
from cl_bench.store.schema import TABLES

if TYPE_CHECKING:
    import pandas as pd

_IN_MEMORY = 64_000_000
"""Bytes of zipped digests beyond which they lie in a temporary file."""


@dataclass(frozen=True)
class RunFacts:
    """The facts of a run that lists of runs name."""

    name: str
    """Unique on the page; the place of the run among those that were asked for."""
    stream: str
    learner: str
    model: str
    seed: str
    status: str

    @classmethod
    def of(cls, name: str, manifest: Mapping[str, Any]) -> RunFacts:
        own = (manifest[key] for key in ("learner", "model", "seed", "status"))
        return cls(name, *map(str, (manifest["stream"]["name"], *own)))


class _Read(NamedTuple):
    """What comes of one run."""

    path: Path
    entry: RunEntry | RunProblem
    facts: RunFacts | None
    """None of a run that has no digest."""
    digest: bytes
    damage: str
    """Why there is no digest."""


class Reading:
    """The runs, read while it is gone through: their entries in order, or why they have none."""

    def __init__(self, runs: Sequence[RunTables], names: Mapping[str, str], jobs: int) -> None:
        """`names` are what the page calls the runs, by path; `jobs` processes read many runs."""
        self._named = [(run, names[str(run.path)]) for run in runs]
        self._jobs = jobs
        self._places: dict[str, tuple[int, int]] = {}
        self._file = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - it is open as long as this
        finalize(self, self._file.close)
        self.facts: dict[str, RunFacts] = {}
        """By path, of runs that have a digest."""
        self.damaged: list[RunProblem] = []
        """Runs that have none."""

    def __iter__(self) -> Iterator[RunEntry | RunProblem]:
        for read in in_order(_read, self._named, jobs=self._jobs):
            yield read.entry
            path = str(read.path)
            if read.facts is None:
                self.damaged.append(RunProblem(read.path, "unreadable", read.damage))
            else:
                self.facts[path] = read.facts
                self._places[path] = self._file.seek(0, os.SEEK_END), len(read.digest)
                self._file.write(read.digest)

    def digest(self, path: str) -> Digest:
        """The digest of a run, as it was read."""
        start, size = self._places[path]
        self._file.seek(start)
        return cast(Digest, pickle.loads(zlib.decompress(self._file.read(size))))


def _read(named: tuple[RunTables, str]) -> _Read:
    run, name = named
    kept = Kept(run)
    entry = entry_of(kept)
    try:
        whole = digest(kept, name)
        facts = RunFacts.of(name, whole.manifest)
    except DAMAGED as error:
        return _Read(run.path, entry, None, b"", str(error))
    return _Read(run.path, entry, facts, zlib.compress(pickle.dumps(whole), 1), "")


class Kept:
    """A run of which what was read is kept: the leaderboard and the digest both ask for it."""

    def __init__(self, run: RunTables) -> None:
        self._run = run
        self._tables: dict[str, pa.Table] = {}

    @property
    def path(self) -> Path:
        """The path of the run."""
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
        """Columns of a table, as `RunTables.select`; those of a digest are read with the first."""
        wanted = TABLES[name].names if columns is None else columns
        known = self._tables.get(name)
        if known is None or not {"step", *wanted} <= set(known.column_names):
            known = self._run.select(name, ("step", *wanted, *READ[name]))
            self._tables[name] = known
        found = known.select([column for column in known.column_names if column in wanted])
        return found.slice(0, _first_rows(known)) if first else found


def _first_rows(table: pa.Table) -> int:
    """Return the number of rows of the first evaluation, which were written first."""
    steps = table["step"].to_numpy()
    return int((steps == steps[0]).sum()) if len(steps) else 0
