"""Data sets of the Hugging Face hub as domains: `hub/gsm8k`, `hub/hover?hops=3`.

Those of the table have a name; `hub/ORG/NAME?prompt=question&answer=label` is any other one, read
as a user's file is. A domain's version is a hash of the rows that it uses.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from cl_bench.contract.errors import UsageError
from cl_bench.contract.text import one_line

from ..data.columns import COLUMNS, read_items
from ..data.domain import DataDomain, Origin, chosen, data_domain
from ..data.python import edition
from ..data.reading import SPLIT_KEY, DataRow, DataTable, columns_of
from ..data.usable import digest, usable
from .name import READ_AS, Asked, known, parse
from .rows import MIRROR, place_of, rows_of
from .table import SETS

__all__ = ["NAMES", "known", "load"]

NAMES = tuple(f"hub/{name}" for name in SETS)
_loaded: dict[tuple[str, ...], DataDomain] = {}


def load(name: str) -> DataDomain:
    """The domain of a data set; whatever is wrong with it is a `UsageError`."""
    asked = parse(name)
    place = os.environ.get(MIRROR, ""), edition(asked.options.get("verifier", ""), Path())
    if (name, *place) not in _loaded:
        domain = _domain(asked)
        for found in {name, domain.reference}:
            _loaded[found, *place] = domain
    return _loaded[name, *place]


def _domain(asked: Asked) -> DataDomain:
    entry, options = asked.entry, asked.options
    place = place_of(asked)
    rows = list(rows_of(asked, place))
    table = DataTable(asked.name, "row", rows, columns_of(rows))
    if not rows:
        raise UsageError(f"{asked.name} has no rows that ask a question and answer it.")
    read_as = {k: v for k, v in options.items() if k in (*COLUMNS, *READ_AS)}
    if asked.has_entry:
        read_as = {"prompt": "prompt", "answer": "answer", "verifier": entry.verifier} | read_as
    reading = read_items(table, read_as | {"split": SPLIT_KEY if _has_splits(rows) else ""})
    verifier, why = chosen(read_as, reading)
    kept, notes = usable(reading, verifier)
    origin = Origin(
        asked.named(),
        asked.named(commit=place.commit),
        f"problems of {entry.path} at {place.commit[:12] or place.path}: {entry.says}",
        one_line(options.get("licence") or entry.licence, 200),
        one_line(options.get("citation") or entry.citation, 2_000),
        digest(kept.items),
    )
    return data_domain(origin, kept, verifier, why, notes)


def _has_splits(rows: Sequence[DataRow]) -> bool:
    return any(row.cells[SPLIT_KEY] for row in rows)
