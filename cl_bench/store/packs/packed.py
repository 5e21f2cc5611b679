"""A packed run, read: the same tables as its directory's, from one file that nobody need trust."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as compute

from cl_bench.contract.errors import OtherSoftwareError, unknown
from cl_bench.contract.text import printable
from cl_bench.store.packs import container
from cl_bench.store.packs.layout import (
    FINISHED,
    MANIFEST,
    MAY_LACK,
    PACK,
    PACK_VERSION,
    member,
)
from cl_bench.store.rows import require_columns, with_nulls
from cl_bench.store.run_directory import require_unedited, require_version
from cl_bench.store.schema import SCHEMA_VERSION, TABLES

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class PackedRun:
    """One run in one file. Made by `cl_bench.verify.packing`, read by `open`."""

    path: Path
    manifest: Mapping[str, Any]
    """The run's own."""
    contents: Mapping[str, Any]
    """The content of pack.json."""

    @classmethod
    def open(cls, path: Path) -> PackedRun:
        """The run in the file `path`; `RunDirectoryError` names the file and what is wrong.

        What the file says of itself is held against it here: versions, members, the manifest's
        hash, status and configuration. Tables are when they are read.
        """
        names = container.names(path)
        contents = _contents(path, names)
        manifest = _json(path, MANIFEST, hashed(path, MANIFEST, contents))
        _require_tables(path, contents, manifest)
        if manifest.get("status") not in FINISHED:
            raise container.no_pack(
                path,
                f"its run is not finished (status {printable(repr(manifest.get('status')), 40)})",
            )
        require_unedited(manifest, path / MANIFEST)
        return cls(path, manifest, contents)

    @property
    def kept(self) -> tuple[str, ...]:
        """The tables that it has: all but some of `MAY_LACK`."""
        return tuple(name for name in TABLES if member(name) in self.contents["members"])

    def table(self, name: str) -> pd.DataFrame:
        """All rows of a table; columns and types as in `cl_bench.store.schema`."""
        return self.select(name).to_pandas(use_threads=False)

    def select(
        self, name: str, columns: Sequence[str] | None = None, *, first: bool = False
    ) -> pa.Table:
        """As `table`, but an Arrow table of these columns only, in the schema's order; with `first`
        only the rows of the first step."""
        if name not in TABLES:
            raise unknown("table", name, TABLES)
        table = self._read(name)
        if first and len(table):
            table = table.filter(compute.equal(table["step"], compute.min(table["step"])))
        if columns is None:
            return table
        return table.select([column for column in table.schema.names if column in columns])

    def _read(self, name: str) -> pa.Table:
        schema = TABLES[name]
        if name not in self.kept:
            return schema.empty_table()
        try:
            content = container.decoded(hashed(self.path, member(name), self.contents))
            require_columns(name, content.schema)
        except ValueError as error:
            raise container.no_pack(self.path, f"cannot be read: {error}", member(name)) from error
        return with_nulls(content, schema)


def hashed(path: Path, name: str, contents: Mapping[str, Any]) -> bytes:
    """A member's content; `RunDirectoryError` unless it is the one that pack.json names."""
    content = container.read(path, name)
    if hashlib.sha256(content).hexdigest() != contents["members"][name]["sha256"]:
        reason = f"was edited or cut short: its hash is not the one in {PACK}"
        raise container.no_pack(path, reason, name)
    return content


def _contents(path: Path, names: frozenset[str]) -> Mapping[str, Any]:
    """Return the content of pack.json; raise `RunDirectoryError` if it does not fit the members."""
    if PACK not in names:
        raise container.no_pack(path, "is missing, so this is not a packed run", PACK)
    contents = _json(path, PACK, container.read(path, PACK))
    version = contents.get("pack_version")
    if version != PACK_VERSION:
        raise OtherSoftwareError(
            f"{path} is a pack of version {printable(repr(version), 40)}; this cl-bench reads "
            f"version {PACK_VERSION}. Read it with the cl-bench that made it."
        )
    members = contents.get("members")
    if not isinstance(members, dict) or not all(map(_is_entry, members.values())):
        raise container.no_pack(path, "does not give the hashes of the members", PACK)
    for name in sorted({MANIFEST, *members, *names} - {PACK}):
        if name not in names or name not in members:
            reason = f"has no hash in {PACK}" if name in names else "is missing"
            raise container.no_pack(path, reason, printable(name, 100))
    return contents


def _is_entry(entry: object) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("sha256"), str)


def _require_tables(path: Path, contents: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
    """The tables are those of the schema version, and that is the run's."""
    require_version(manifest, path)
    if contents.get("schema_version") != SCHEMA_VERSION:
        said = printable(repr(contents.get("schema_version")), 40)
        reason = f"names the schema version {said}, but the run's is {SCHEMA_VERSION}"
        raise container.no_pack(path, reason, PACK)
    needed = {member(name) for name in TABLES if name not in MAY_LACK}
    if missing := sorted(needed - contents["members"].keys()):
        raise container.no_pack(path, "is missing", missing[0])


def _json(path: Path, name: str, content: bytes) -> dict[str, Any]:
    """The object in a JSON member; no NaN, no name twice, no depth that would exhaust a reader."""
    try:
        found = json.loads(
            content.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        reason = printable(str(error), 200)
        raise container.no_pack(path, f"is not whole JSON ({reason})", name) from error
    if not isinstance(found, dict):
        raise container.no_pack(path, "holds no object", name)
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in an object")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number of JSON")
