"""Tables of earlier schema versions, read as if this version had written them.

Reading changes no file. Which columns a version was the first to have, and what is true of a row
without them, is said once, in the function that leads to it from the version before:

- 2 counts failed and repeated rewrites (but not in its first runs), evaluates domains outside the
  stream, and keeps a hash of every file (see `cl_bench.store.parts`);
- 3 asks the base and the hardest setting too, so every row says whose it is and of which problems;
- 4 keeps transcripts;
- 5 has the divergence as deployed, and says which answers had a form and which were cut off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from cl_bench.contract.errors import OtherSoftwareError, RunDirectoryError
from cl_bench.store.schema import SCHEMA_VERSION, TABLES

OLDEST = 1
"""The first version that is read."""
_FIRST_IN = {"transcripts": 4}
"""The version that began a table; the others have always been there."""
_EASIEST = dict.fromkeys(("code", "facts", "math", "physics", "star-graph"), "easy")
"""What the built-in domains call their easiest setting."""

Manifest = Mapping[str, Any]


def version_of(manifest: Manifest, path: Path) -> int:
    """The schema version of the run in `path`; `OtherSoftwareError` if it cannot be read."""
    version = manifest.get("schema_version")
    if type(version) is int and OLDEST <= version <= SCHEMA_VERSION:  # True is no version
        return version
    raise OtherSoftwareError(
        f"{path} has tables of schema version {version!r}; this cl-bench reads those up to version "
        f"{SCHEMA_VERSION}. Read it with the cl-bench that wrote it ({_writer(manifest)})."
    )


def require_own_version(manifest: Manifest, path: Path) -> None:
    """Raise `OtherSoftwareError` unless the run in `path` may be written to by this version."""
    version = version_of(manifest, path)
    if version != SCHEMA_VERSION:
        raise OtherSoftwareError(
            f"{path} has tables of schema version {version}, and this cl-bench writes version "
            f"{SCHEMA_VERSION}: it reads the run, but does not go on with it. Resume it with the "
            f"cl-bench that wrote it ({_writer(manifest)}), or start a run with another --out."
        )


def tables_of(version: int) -> tuple[str, ...]:
    """The tables that runs of a version have."""
    return tuple(name for name in TABLES if _FIRST_IN.get(name, OLDEST) <= version)


def unknown_to(version: int, name: str) -> frozenset[str]:
    """The columns of a table that nobody measured in a version: null in its runs."""
    later = {2: {"ledger": _COUNTS}, 5: _NEW_IN_5}
    return frozenset(
        column
        for since, tables in later.items()
        for column in tables.get(name, ())
        if version < since
    )


def upgrade(manifest: Manifest, name: str, table: pa.Table) -> pa.Table:
    """The table `name` of a run with that manifest, with the columns of this version.

    A table that does not have the columns of its version is returned as it is, or with those that
    could be added: hold the result against `TABLES[name]`.
    """
    if manifest["schema_version"] == SCHEMA_VERSION:
        return table
    for version in range(manifest["schema_version"] + 1, SCHEMA_VERSION + 1):
        table = _STEPS[version](manifest, name, table)
    schema = TABLES[name]
    if sorted(table.schema.names) != sorted(schema.names):
        return table
    table = table.select(schema.names)
    # Types must be those of the schema already; what changes here is whether null is allowed.
    return table.cast(schema) if table.schema.types == schema.types else table


def _to_2(_: Manifest, name: str, table: pa.Table) -> pa.Table:
    """Nobody counted which rewrites came to nothing."""
    if name != "ledger" or set(_COUNTS) & set(table.schema.names):
        return table
    for count in _COUNTS:
        table = table.append_column(count, pa.nulls(len(table), pa.int64()))
    return table


def _to_3(manifest: Manifest, name: str, table: pa.Table) -> pa.Table:
    """All rows were of the policy, on the stream's problems or, stated, on those of retention."""
    table = _to_2(manifest, name, table)  # the first runs of version 2 had not got there
    if name not in ("evaluations", "items") or not {"domain", "prompt"} <= set(table.schema.names):
        return table
    settings = _settings(manifest)
    domains, prompts = table["domain"].to_pylist(), table["prompt"].to_pylist()
    columns: Mapping[str, Sequence[str]] = {
        "test_set": ["retention" if prompt == "stated" else "stream" for prompt in prompts],
        "setting": [settings.get(domain, _EASIEST.get(domain, "easiest")) for domain in domains],
        "weights": ["trained"] * len(table),
    }
    for column, values in columns.items():
        table = table.append_column(column, pa.array(values, pa.string()))
    return table


def _to_4(_manifest: Manifest, _name: str, table: pa.Table) -> pa.Table:
    """Nothing but a new table."""
    return table


def _to_5(_manifest: Manifest, name: str, table: pa.Table) -> pa.Table:
    """Nobody measured or noted it."""
    for column, kind in _NEW_IN_5.get(name, {}).items():
        table = table.append_column(column, pa.nulls(len(table), kind))
    return table


_COUNTS = ("reflection_failures", "reflection_repeats")
_NEW_IN_5: Mapping[str, Mapping[str, pa.DataType]] = {
    "evaluations": dict.fromkeys(
        ("kl_deployed_start", "kl_deployed_start_sequence", "format_rate", "truncation_rate"),
        pa.float64(),
    ),
    "items": dict.fromkeys(("formatted", "truncated"), pa.int64()),
}
_STEPS: Mapping[int, Callable[[Manifest, str, pa.Table], pa.Table]] = {
    2: _to_2,
    3: _to_3,
    4: _to_4,
    5: _to_5,
}
"""By version, what makes a table of the version before one of its own."""


def _settings(manifest: Manifest) -> dict[str, str]:
    """By domain of the stream, the setting of its test problems: that of its first stage."""
    try:
        stages = manifest["stream"]["stages"]
        return {stage["domain"]: stage["setting"] for stage in reversed(stages)}
    except (KeyError, TypeError) as error:
        raise RunDirectoryError(
            f"A manifest of schema version {manifest['schema_version']} does not say what its "
            f"stream was ({error!r}), which its tables need. Restore it from a copy."
        ) from error


def _writer(manifest: Manifest) -> str:
    """The cl-bench that made a run, as far as its manifest says."""
    found = manifest.get("provenance") or {}
    commit = found.get("git_commit")
    return (
        f"{found.get('cl_bench', 'another version')}{f', commit {commit[:10]}' if commit else ''}"
    )
