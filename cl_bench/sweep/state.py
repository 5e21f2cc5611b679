"""How things stand with the runs of a sweep: which are there, which are left, which cannot be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from cl_bench.contract.errors import RunDirectoryError
from cl_bench.store.files import read_json
from cl_bench.sweep.cell import Cell

FINISHED = ("done", "diverged")
NO_START = "no start"
"""The status of a cell that starts from a run that diverged: there never is a model for it."""
SETTLED = (*FINISHED, NO_START)
"""Nothing is left to do about a cell of such a status."""
NOTHING: Mapping[str, str] = MappingProxyType({})


def status(cell: Cell, folder: Path, known: Mapping[str, str] = NOTHING) -> str:
    """The status of a cell's run in `folder`; `missing` if there is none.

    `known` has statuses of runs that are kept elsewhere, by the cell's name; they count first.
    """
    found = known.get(cell.name) or _recorded(folder / cell.name)
    if found in FINISHED or cell.start is None:
        return found
    lost = why_no_start(cell, status(cell.start, folder, known))
    return found if lost is None else NO_START


def why_no_start(cell: Cell, status_of_start: str) -> str | None:
    """Why a cell that starts from another one can never be made; None if nothing says so."""
    if cell.start is None or status_of_start not in ("diverged", NO_START):
        return None
    lost = "diverged" if status_of_start == "diverged" else "has no start itself"
    return f"it starts from {cell.start.name}, which {lost}"


def with_starts(cells: Iterable[Cell]) -> list[Cell]:
    """The different cells, each after the one it starts from."""
    ordered: dict[Cell, None] = {}
    for cell in cells:
        chain = [cell]
        while (before := chain[-1].start) is not None:
            chain.append(before)
        ordered.update(dict.fromkeys(reversed(chain)))
    return list(ordered)


def _recorded(run: Path) -> str:
    try:
        return str(read_json(run / "manifest.json")["status"])
    except (RunDirectoryError, KeyError, TypeError):
        return "missing"
