"""Runs as whoever reads them sees them: a manifest and tables, wherever they are kept."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol
from zipfile import is_zipfile

from cl_bench.contract.errors import ClBenchError, RunDirectoryError
from cl_bench.store.remote import fetched, with_urls
from cl_bench.store.run_directory import RunDirectory

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_MANIFEST, _PACKED = "manifest.json", ".zip"
_MAKES_ONE = "`cl-bench run --out {}/NAME` makes one."
_NAMED = 3
"""Runs that are named where one is asked for and several are there."""
_ALL: Mapping[str, object] = MappingProxyType({})


class RunTables(Protocol):
    """One run, to be read."""

    @property
    def path(self) -> Path:
        """The path of its directory or pack."""

    @property
    def manifest(self) -> Mapping[str, Any]:
        """Its configuration, provenance and status (see docs/tables.md)."""

    def table(self, name: str) -> pd.DataFrame:
        """All rows of one of `cl_bench.store.schema.TABLES`; columns and types as there."""

    def select(
        self, name: str, columns: Sequence[str] | None = None, *, first: bool = False
    ) -> pa.Table:
        """These columns of a table, or all, in the schema's order; quicker than a whole frame. With
        `first` at least the rows of the first evaluation, and perhaps no others."""


def rows_of(
    run: RunTables,
    name: str,
    columns: Sequence[str],
    *,
    first: bool = False,
    where: Mapping[str, object] = _ALL,
) -> list[tuple[Any, ...]]:
    """Some columns of a table as tuples, in the order they were written; `first` as above.

    `where` has values that the columns of its names must have.
    """
    import pyarrow.compute as compute

    table = run.select(name, (*columns, *where), first=first)
    for column, value in where.items():
        table = table.filter(compute.equal(table[column], value))
    return list(zip(*(table.column(column).to_pylist() for column in columns), strict=True))


@dataclass(frozen=True)
class Unreadable:
    """Something that looks like a run and cannot be read."""

    path: Path
    reason: str


def open_run(path: str | Path) -> RunTables:
    """The one run at or below `path`: a run directory, a packed run (`cl-bench submit`), a folder
    with one of either in it, or the URL of any of these.

    Raises `RunDirectoryError` where there is none, where there are several, and with the reason
    for one that cannot be read.
    """
    found = _places(path, _MAKES_ONE)
    if len(found) > 1:
        some = ", ".join(with_urls(str(place)) for place in found[:_NAMED])
        raise RunDirectoryError(
            f"{with_urls(str(path))} holds {len(found):,} runs, and one is asked for. Name it: "
            f"{some}{', …' if len(found) > _NAMED else ''}."
        )
    return _opened(found[0])


def find_runs(
    paths: Iterable[str | Path], *, advice: str = _MAKES_ONE
) -> tuple[list[RunTables], list[Unreadable]]:
    """All runs at or anywhere below the paths, sorted by path, each once; and what is unreadable.

    Runs are run directories and packed runs: files that end in .zip, or that are given. Links to
    folders are not followed unless they are given. A path, or a URL, without any run is a
    `RunDirectoryError` that ends with `advice`, with the path in its braces.
    """
    runs: dict[Path, RunTables] = {}
    broken: dict[Path, Unreadable] = {}
    for path in paths:
        for place in _places(path, advice):
            try:
                runs[place.resolve()] = _opened(place)
            except ClBenchError as error:
                broken[place.resolve()] = Unreadable(place, str(error))
    return [runs[key] for key in sorted(runs)], [broken[key] for key in sorted(broken)]


def _places(path: str | Path, advice: str) -> list[Path]:
    """Every place of a run at or below a path or URL, at least one."""
    home = fetched(path)
    given = home.suffix == _PACKED or not home.is_file() or is_zipfile(home)
    found = list(places_below(home)) if given else []
    if not found:
        named = with_urls(str(home))
        a_file = home.is_file() or home.suffix == _PACKED
        hint = "Give one of these." if a_file else advice.replace("{}", named)
        if not home.exists():
            raise RunDirectoryError(f"There is no file or folder {named}. {hint}")
        raise RunDirectoryError(
            f"There is no run at or below {named}: neither a folder with a {_MANIFEST} nor a "
            f"packed run, a {_PACKED} file. {hint}"
        )
    return found


def _opened(place: Path) -> RunTables:
    if place.is_file():
        from cl_bench.store.packs.packed import PackedRun

        return PackedRun.open(place)
    return RunDirectory.open(place)


def places_below(path: Path, marks: Sequence[str] = (_MANIFEST,)) -> Iterator[Path]:
    """Packed runs, and folders with a file of one of the names `marks`, at or below `path`.

    What lies inside such a folder is not looked at. A file that is given is taken for a pack.
    """
    if path.is_file() or any((path / name).is_file() for name in marks):
        yield path
    elif path.is_dir():
        for inner in readable(path):
            if inner.is_dir() or inner.suffix == _PACKED:
                yield from places_below(inner, marks)


def readable(folder: Path) -> list[Path]:
    """What lies in a folder, in order, but for folders that links lead to, which may be above it,
    and those that nobody but their owner may read, such as lost+found."""
    return [
        inner
        for inner in sorted(folder.iterdir())
        if not inner.is_dir() or (not inner.is_symlink() and os.access(inner, os.R_OK | os.X_OK))
    ]
