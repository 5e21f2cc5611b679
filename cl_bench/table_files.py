"""Reading the file of one part of a table, and refusing one that is not what was committed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet

from cl_bench.errors import RunDirectoryError


def read_part(
    file: Path,
    schema: pa.Schema,
    committed: Callable[[], str],
    columns: Sequence[str],
) -> pa.Table:
    """These columns of all rows of a Parquet file whose columns are those of `schema`.

    A file whose SHA-256 is not the `committed` one, that is damaged, or that has other columns than
    `schema`, is a `RunDirectoryError` with its name. It is read from the disk once, so that what
    was checked is what is used, and without threads, whose start takes longer than such a file.
    """
    try:
        raw = file.read_bytes()
        if sha256(raw).hexdigest() != committed():
            raise _unreadable(file, "it was cut short or edited after it was committed")
        stored = parquet.ParquetFile(pa.BufferReader(raw))
        found = stored.schema_arrow
        if found.equals(schema):
            content = stored.read(columns=columns, use_threads=False)
            return content.cast(pa.schema(map(schema.field, columns)))
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(file, str(error)) from error
    names = ", ".join(found.names)
    raise _unreadable(file, f"its columns are not those of this version, but {names}")


def _unreadable(file: Path, reason: str) -> RunDirectoryError:
    return RunDirectoryError(
        f"Cannot use the table file {file}: {reason}. Restore it from a copy; when the run is "
        f"unfinished, `cl-bench run --resume {file.parents[2]}` writes parts after its checkpoint "
        "again."
    )
