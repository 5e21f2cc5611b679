"""Rows as they are written and read, checked against the columns of their table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real

import pyarrow as pa

from cl_bench.contract.errors import RunDirectoryError
from cl_bench.contract.text import printable, well_formed
from cl_bench.store.schema import INTEGER, SCHEMA_VERSION, TABLES, TEXT, allowed_values

Row = Mapping[str, object]


def to_arrow(table: str, rows: Sequence[Row]) -> pa.Table:
    """Rows as an Arrow table; `RunDirectoryError` names the table and column of a wrong value.

    A row holds exactly the table's columns. Only whole numbers are converted, for real columns, and
    lone surrogates, to U+FFFD; NaN is a real number, None only goes where null is allowed.
    """
    schema = TABLES[table]
    for row in rows:
        _check_names(table, schema, row)
    columns = [_array(table, field, [row[field.name] for row in rows]) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def require_columns(table: str, found: pa.Schema) -> None:
    """Raise `ValueError` unless `found` are the table's columns; nullable ones may be missing.

    A column that was added since the rows were written is null in them.
    """
    here = [field for field in TABLES[table] if field.name in found.names or not field.nullable]
    if not found.equals(pa.schema(here)):
        columns = printable(", ".join(found.names), 300)
        raise ValueError(f"its columns are not those of schema version {SCHEMA_VERSION}: {columns}")


def with_nulls(content: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the columns of `schema`; those that `content` does not have are null."""
    have = content.schema.names
    columns = [
        content[field.name] if field.name in have else pa.nulls(len(content), field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def is_stream_row(row: Row) -> bool:
    """Tell whether a row of `evaluations` or `items` is of the stream's problems and the policy."""
    return row["test_set"] == "stream" and row["weights"] == "trained"


def _check_names(table: str, schema: pa.Schema, row: Row) -> None:
    missing = [name for name in schema.names if name not in row]
    extra = [name for name in row if name not in schema.names]
    if missing or extra:
        said = [
            f"{text}: {', '.join(names)}"
            for text, names in (("missing", missing), ("unknown", extra))
            if names
        ]
        raise RunDirectoryError(
            f"A row of the table {table!r} has the wrong columns ({'; '.join(said)}). "
            f"Allowed, all of them: {', '.join(schema.names)}; see docs/tables.md."
        )


def _array(table: str, field: pa.Field, values: Sequence[object]) -> pa.Array:
    choices = allowed_values(field)
    for value in values:
        if not _fits(value, field) or (choices and value not in choices):
            wanted = " or ".join(repr(choice) for choice in choices) or str(field.type)
            raise RunDirectoryError(
                f"Column {field.name!r} of the table {table!r} takes {wanted}"
                f"{' or None' if field.nullable else ''}, not {value!r} "
                f"({type(value).__name__}). See docs/tables.md."
            )
    values = [well_formed(value) if isinstance(value, str) else value for value in values]
    try:
        return pa.array(values, type=field.type)
    except (pa.ArrowInvalid, OverflowError, UnicodeEncodeError) as error:
        raise RunDirectoryError(
            f"Column {field.name!r} of the table {table!r} cannot hold a value: {error}."
        ) from error


def _fits(value: object, field: pa.Field) -> bool:
    if value is None:
        return bool(field.nullable)
    if field.type == TEXT:
        return isinstance(value, str)
    number = Integral if field.type == INTEGER else Real
    return isinstance(value, number) and not isinstance(value, bool)
