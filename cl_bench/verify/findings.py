"""The words of verification: findings, each of one place in one file, and all of one artefact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cl_bench.contract.text import counted, one_line, printable

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 5
"""Rows that one check names; it counts the others."""
_LIMIT = 400


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be."""

    reason: str
    file: str = ""
    """The file inside of the artefact, or its member; empty for the artefact itself."""
    table: str | None = None
    row: int | None = None
    """Number of the row in the whole table, from 0."""
    key: str = ""
    """What the row is of."""

    def text(self) -> str:
        """File, row and reason on one harmless line."""
        row = f"row {self.row}" if self.row is not None else ""
        key = f"({self.key})" if row and self.key else self.key
        place = " ".join(filter(None, (row, key)))
        return one_line(": ".join(filter(None, (self.file, place, self.reason))), _LIMIT)


@dataclass
class Verification:
    """One artefact (a run directory, a packed run, a table of trials), verified."""

    path: Path
    kind: str
    """For people: `packed run`, `run directory` and so on."""
    title: str = ""
    """The run or archive, in a few words."""
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Notes for a reader on what is not a fault: what could not be checked, a dirty tree."""
    checked: dict[str, int] = field(default_factory=dict)
    """Rows of each table that was read."""
    unchecked: bool = False
    """Whether nothing was checked; `notes` say why."""

    @property
    def fine(self) -> bool:
        """Whether it was checked and nothing found."""
        return not self.findings and not self.unchecked

    def text(self) -> str:
        """The line of the artefact, then one for each finding."""
        rows = counted(sum(self.checked.values()), "row") if self.checked else ""
        count = len(self.findings)
        verdict = "fine" if self.fine else "unchecked"
        if count:
            verdict = counted(count, "finding")
        said = ", ".join(filter(None, (self.kind, self.title, rows, *self.notes)))
        head = printable(f"{verdict:<12}{self.path}  {said}", 1_000)
        return "\n".join([head, *(f"    {found.text()}" for found in self.findings)])

    def data(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "path": str(self.path),
            "kind": self.kind,
            "title": self.title,
            "fine": self.fine,
            "unchecked": self.unchecked,
            "rows": self.checked,
            "notes": self.notes,
            "findings": [asdict(found) for found in self.findings],
        }


@dataclass
class Findings:
    """The findings about the tables of one run, as they come."""

    files: Mapping[str, str]
    """By table, the file or folder that holds it, to be named."""
    found: list[Finding] = field(default_factory=list)

    def add(self, reason: str, *, file: str = "", table: str | None = None, key: str = "") -> None:
        """A finding about a file, or about a table as a whole."""
        where = file or self.files.get(table or "", "")
        self.found.append(Finding(reason, where, table, None, key))

    def rows(
        self, table: str, rows: pd.DataFrame, reasons: Sequence[str] | str, keys: Sequence[str]
    ) -> None:
        """A finding for each of the first few `rows`, whose index is their number in the table.

        `reasons` is one for all, or one a row; the columns `keys` say what a row is of.
        """
        named = rows.iloc[:MOST_ROWS]
        each = [reasons] * len(named) if isinstance(reasons, str) else reasons
        keys = [name for name in keys if name in rows]
        for (number, row), reason in zip(named.iterrows(), each, strict=False):
            place = int(str(number))
            self.found.append(Finding(reason, self.files[table], table, place, _key(row, keys)))
        if (more := len(rows) - MOST_ROWS) > 0:
            self.add(f"and {more:,} more rows of which the same is true", table=table)


def _key(row: Mapping[str, Any], keys: Sequence[str]) -> str:
    """Return a row's key in words: `step 40, facts, learner, trained`."""
    told = ("step", "round", "prompt_id", "sample")
    words = (
        f"{name.replace('_id', '')} {row[name]}" if name in told else row[name] for name in keys
    )
    return ", ".join(map(str, words))
