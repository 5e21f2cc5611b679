"""A user's own accuracy matrix: read from a CSV file, its metrics as text or JSON.

The rows are the base model's and one per stage, the columns tasks. Names of rows and columns may
stand before and above the numbers; they are told from numbers by being none, or by counting from
0 or 1 as a data frame's do.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cl_bench.analysis.plugin_metrics import plugin_metrics, plugin_quantity
from cl_bench.contract.errors import UsageError
from cl_bench.contract.text import counted, printable
from cl_bench.metrics import METRICS, Undefined
from cl_bench.metrics.quantities import BYTES

MISSING = ("", "nan", "na", "n/a", "none", "null", "-", "—")
"""The contents of a missing cell, in small or capital letters."""
_LARGEST = 10_000_000
_ROUNDED = 1.001
"""Shares up to this one are 1, but for the rounding of whatever wrote them."""
_SHAPE = (
    "An accuracy matrix has a row for the base model and one for each stage, and a column for each "
    "task: one row more than columns"
)


@dataclass(frozen=True, eq=False)
class OwnMatrix:
    """An accuracy matrix with the names that its file gives, or numbers."""

    acc_I_J: NDArray[np.float64]
    """Shares from 0 to 1, shape (T+1, T); NaN where a cell is missing."""
    rows: tuple[str, ...]
    tasks: tuple[str, ...]

    def metrics(self) -> dict[str, float | Undefined]:
        """Every metric of one accuracy matrix, those of plug-ins included."""
        built_in = {name: metric.function(self.acc_I_J) for name, metric in METRICS.items()}
        return built_in | plugin_metrics(self.acc_I_J)

    def text(self) -> str:
        """The metrics, a line each; the reason where one is undefined."""
        tasks = printable(", ".join(self.tasks), 200)
        lines = [f"{counted(len(self.tasks), 'task')} ({tasks})"]
        for name, value in self.metrics().items():
            known = METRICS.get(name)
            of = known.quantity if known else plugin_quantity(name)
            note = known.summary if known else ""
            note = value.reason if isinstance(value, Undefined) else note
            lines.append(f"{name:<26} {of.text(value):>13}  {printable(note)}".rstrip())
        return "\n".join(lines)

    def json(self) -> str:
        """Names, matrix (null: missing), and of each metric `value` or why it is `undefined`."""
        described = {
            "rows": list(self.rows),
            "tasks": list(self.tasks),
            "accuracy": [[None if np.isnan(x) else float(x) for x in row] for row in self.acc_I_J],
            "metrics": {name: value_or_reason(value) for name, value in self.metrics().items()},
        }
        return json.dumps(described, indent=2)


def value_or_reason(value: float | Undefined) -> dict[str, float | str | None]:
    """A number for JSON: its `value`, or null and why it is `undefined`."""
    if isinstance(value, Undefined):
        return {"value": None, "undefined": value.reason}
    return {"value": value, "undefined": None}


def read_matrix(path: str, *, percent: bool = False) -> OwnMatrix:
    """Read a matrix from a CSV file, `-` being standard input; `UsageError` says what is wrong.

    Cells are separated by commas, semicolons or tabs and hold shares from 0 to 1, or with
    `percent` 0 to 100; one that ends in % is a percentage in any case.
    """
    grid, lines = _grid(_text(path))
    named_rows, named_tasks = _names(grid)
    body = [row[named_rows:] for row in grid[named_tasks:]]
    shape = (len(body), len(body[0]))
    if shape[1] == 0 or shape[0] != shape[1] + 1:
        raise _wrong_shape(body, named_rows, named_tasks)
    cells = np.array(
        [
            [_number(cell, line, place) for place, cell in enumerate(row, 1 + named_rows)]
            for line, row in zip(lines[named_tasks:], body, strict=True)
        ]
    )
    with_sign = np.array([[cell.endswith("%") for cell in row] for row in body])
    stages = [str(stage) for stage in range(1, len(body))]
    return OwnMatrix(
        _shares(cells, with_sign, percent),
        tuple(row[0] for row in grid[named_tasks:]) if named_rows else ("base model", *stages),
        tuple(grid[0][named_rows:] if named_tasks else stages),
    )


def _text(path: str) -> str:
    if path == "-":
        raw = sys.stdin.buffer.read(_LARGEST + 1)
    else:
        with Path(path).open("rb") as file:
            raw = file.read(_LARGEST + 1)
    if len(raw) > _LARGEST:
        raise UsageError(f"{path} holds over {BYTES.text(_LARGEST)}; an accuracy matrix is small.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{path} is no UTF-8 text. Save the matrix as a CSV file.") from None


def _grid(text: str) -> tuple[list[list[str]], list[int]]:
    """The cells of every line that is not blank, and the numbers of these lines."""
    lines = text.splitlines()
    first = next((line for line in lines if line.strip()), "")
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        numbered = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row]
    except csv.Error as error:
        raise UsageError(f"Line {reader.line_num} is no CSV: {error}.") from None
    numbered = [(number, row) for number, row in numbered if row != [""]]
    if not numbered:
        raise UsageError(f"The matrix is empty. {_SHAPE}.")
    width = len(numbered[0][1])
    for number, row in numbered:
        if len(row) != width:
            raise UsageError(
                f"Line {number} has {counted(len(row), 'cell')}, but the first has {width}. Leave "
                "the cell of a missing accuracy empty, its separator in place."
            )
    if width == 1:
        _refuse_other_separators(numbered[1:])
    return [row for _, row in numbered], [number for number, _ in numbered]


def _refuse_other_separators(numbered: list[tuple[int, list[str]]]) -> None:
    """Raise `UsageError` for a line, below the first, whose only cell holds several."""
    for number, (cell,) in numbered:
        parts = re.split(r"[\s|:/]+", cell)
        if len(parts) > 1 and _is_number(parts[-1]):
            raise UsageError(
                f"Line {number} is {printable(repr(cell), 60)}: one cell. Separate the cells by "
                "commas, semicolons or tabs."
            )


def _names(grid: list[list[str]]) -> tuple[bool, bool]:
    """Whether the first column, and the first row, are names.

    Numbers are names only where they count up or where the corner above them is empty: a header
    over a matrix without its base row must not lose a column of accuracies.
    """
    row, column = grid[0], [line[0] for line in grid]
    rows_over = len(grid) - len(row)
    words_above = _words(row[1:] or row)
    if words_above and rows_over == 2:
        return False, True
    numbered = _counts(column[1:]) or any(_words([cell]) for cell in column[1:])
    if words_above and (row[0] == "" or (rows_over == 1 and numbered)):
        return True, True
    frame = row[0] == "" and _counts(column[1:]) and _counts(row[1:])
    from_base = _words(column[:1]) and _counts(column[1:], least=1)
    named_rows = frame or _words(column) or (rows_over == 0 and (from_base or _counts(column)))
    tasks = row[1:] if named_rows else row
    return named_rows, frame or _words(tasks) or (len(grid) == len(tasks) + 2 and _counts(tasks))


def _words(cells: list[str]) -> bool:
    """Whether no cell is a number and not all are missing."""
    given = [cell for cell in cells if cell.lower() not in MISSING]
    return bool(given) and not any(_is_number(cell) for cell in given)


def _counts(cells: list[str], least: int = 2) -> bool:
    """Whether the cells count from 0 or 1 to at least 2, which no accuracy is."""
    counts = [list(map(str, range(start, start + len(cells)))) for start in (0, 1)]
    return bool(cells) and cells in counts and int(cells[-1]) >= least


def _is_number(cell: str) -> bool:
    try:
        float(cell.removesuffix("%"))
    except ValueError:
        return False
    return True


def _number(cell: str, line: int, column: int) -> float:
    if cell.lower() in MISSING:
        return float("nan")
    found = f"Line {line}, column {column} is {printable(repr(cell), 60)}"
    if not _is_number(cell):
        raise UsageError(
            f"{found}, which is not a number. Write accuracies with a decimal point, and leave a "
            "missing one empty."
        )
    number = float(cell.removesuffix("%"))
    if not 0 <= number <= 100:
        raise UsageError(
            f"{found}, but an accuracy is a share from 0 to 1, or with --percent from 0 to 100."
        )
    return number


def _shares(
    cells: NDArray[np.float64], with_sign: NDArray[np.bool_], percent: bool
) -> NDArray[np.float64]:
    """Cells as shares of 1; `UsageError` where their unit is not what was said."""
    largest = float(cells[~with_sign & ~np.isnan(cells)].max(initial=0))
    if largest > 1 and not percent:
        over = largest <= _ROUNDED
        hint = "Write 1 for it." if over else "If these are percentages, add --percent."
        raise UsageError(
            f"The matrix holds {largest:.10g}, but accuracies are shares from 0 to 1. {hint}"
        )
    if percent and 0 < largest <= 1:
        raise UsageError(
            f"With --percent cells go from 0 to 100, but the largest is {largest:.10g}. If these "
            "are shares from 0 to 1, leave --percent out."
        )
    return np.where(with_sign | percent, cells / 100, cells)


def _wrong_shape(body: list[list[str]], named_rows: bool, named_tasks: bool) -> UsageError:
    rows, columns = len(body), len(body[0])
    numbered = not named_rows and _counts([row[0] for row in body], least=1)
    names = [text for text, there in (("row", named_rows), ("column", named_tasks)) if there]
    without = f", without the {' and '.join(names)} names" if names else ""
    hint = ""
    if rows == columns:
        hint = " Is the base model's row missing? Give its accuracies, or a row of empty cells."
    elif columns == rows + 1 and numbered:
        hint = " Is the first column names? Then the base model's row is missing: give its "
        hint += "accuracies, or a row of empty cells."
    elif columns == rows + 1:
        hint = " Is it transposed? Rows are what was trained through, columns are tasks."
    return UsageError(
        f"{_SHAPE}; got {counted(rows, 'row')} and {counted(columns, 'column')}{without}.{hint}"
    )
