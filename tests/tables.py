"""Rows of a run's tables, of which a test gives what it is about."""

from __future__ import annotations

from cl_bench.store.schema import INTEGER, REAL, TABLES, allowed_values


def row(table: str, **given: object) -> dict[str, object]:
    """A row with these values; in the other columns null, 0, or the first text that is allowed."""
    found: dict[str, object] = {}
    for field in TABLES[table]:
        number = {INTEGER: 0, REAL: 0.0}.get(field.type)
        texts = allowed_values(field) or ("",)
        blank = None if field.nullable else texts[0] if number is None else number
        found[field.name] = given.pop(field.name, blank)
    assert not given, f"{table} has no {', '.join(given)}"
    return found
