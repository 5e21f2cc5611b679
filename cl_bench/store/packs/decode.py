"""Tables out of a pack's Parquet files, which may say more in few bytes than a machine can hold."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.compute as compute
import pyarrow.parquet as parquet

MAX_ROWS = 10_000_000
MAX_BYTES = 2**31
"""Of one table in memory."""
_DAMAGE = (pa.ArrowException, OSError, ValueError)


def encoded(table: pa.Table) -> bytes:
    """A table as a Parquet file; the same rows give the same bytes, however they came together.

    What columns mean is left out, and so are statistics and Arrow's own schema: they are longer
    than the rows of many runs.
    """
    sink = io.BytesIO()
    fields = [pa.field(field.name, field.type, field.nullable) for field in table.schema]
    whole = table.cast(pa.schema(fields)).combine_chunks()
    parquet.write_table(
        whole,
        sink,
        compression="zstd",
        compression_level=9,
        write_statistics=False,
        store_schema=False,
    )
    return sink.getvalue()


def decoded(content: bytes) -> pa.Table:
    """The table in a Parquet file; `ValueError` with the reason if it is damaged or too large."""
    try:
        with parquet.ParquetFile(io.BytesIO(content), pre_buffer=False) as file:
            _require_bounds(file.metadata)
            schema = file.schema_arrow
        # Texts as dictionaries first: one long text may stand in a million rows.
        texts = [field.name for field in schema if pa.types.is_string(field.type)]
        # Without Arrow's threads: a process that ends while one of them runs may be aborted.
        with parquet.ParquetFile(
            io.BytesIO(content), read_dictionary=texts, pre_buffer=False
        ) as file:
            table = file.read(use_threads=False)
        _require_texts(table)
        return table.cast(schema)
    except _DAMAGE as error:
        raise ValueError(str(error).splitlines()[0]) from error


def _require_bounds(metadata: parquet.FileMetaData) -> None:
    if metadata.num_rows > MAX_ROWS:
        raise ValueError(f"it has {metadata.num_rows:,} rows; at most {MAX_ROWS:,} are read")
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    if (size := sum(group.total_byte_size for group in groups)) > MAX_BYTES:
        raise ValueError(f"it has {size:,} bytes unpacked; at most {MAX_BYTES:,} are read")


def _require_texts(table: pa.Table) -> None:
    """Raise `ValueError` if the texts of the dictionary columns are too long together."""
    total = 0
    for column in table.columns:
        for chunk in column.chunks if pa.types.is_dictionary(column.type) else ():
            lengths = compute.binary_length(chunk.dictionary)
            total += compute.sum(lengths.take(chunk.indices)).as_py() or 0
    if total > MAX_BYTES:
        raise ValueError(f"its texts have {total:,} bytes; at most {MAX_BYTES:,} are read")
