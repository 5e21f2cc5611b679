"""Reading a user's file into rows of cells: JSONL, JSON, CSV, TSV and Parquet.

JSON and CSV go through the standard library. `datasets` and pandas guess types, which changes
answers without a word: "2024-01-01" becomes a time, 42 beside 4.5 becomes 42.0, 007 becomes 7, "NA"
is lost, thirty digits become a float. Numbers are kept here as they are written, and every fault
names its line. Nothing is written anywhere, no cache either.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn

from cl_bench.contract.errors import UsageError
from cl_bench.contract.text import one_line, printable

MOST_BYTES = 1_000_000_000
MOST_ROWS = 1_000_000
SUFFIXES = ("jsonl", "json", "csv", "tsv", "parquet")
SPLIT_KEY = "split"
"""Column that the keys of a JSON file such as {"train": […], "test": […]} become."""

_BOMS = (  # the longer first, which begin like the shorter
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MAGIC = {
    b"\x1f\x8b": "a gzip archive",
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"PAR1": "a Parquet file",
    b"ARROW1": "an Arrow file",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
}


class NumberText(str):
    """A number as it was written; tells `42` from `"42"`."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class DataRow:
    """One row: where it stands in the file, and its cells by column."""

    number: int
    cells: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DataTable:
    """The rows of a file or of a data set, in order."""

    source: str
    """Its path or name, as messages show it."""
    unit: str
    """The thing that the rows' numbers count: line, item or row."""
    rows: list[DataRow]
    columns: tuple[str, ...]
    folder: Path = Path()
    """Where a verifier of the user's own may lie, besides the working folder."""

    def place(self, number: int) -> str:
        """`line 7 of my.jsonl`."""
        return f"{self.unit} {number} of {self.source}"


def read_table(path: Path, content: bytes) -> DataTable:
    """The rows of `content`, which stands in `path`; what is wrong with it is a `UsageError`."""
    suffix = path.suffix.lower().removeprefix(".")
    unit, read = _READERS[suffix]
    if not content:
        _empty(path)
    rows: list[DataRow] = []
    for row in read(path, content):
        rows.append(row)
        if len(rows) > MOST_ROWS:
            _too_many(path)
    if not rows:
        _empty(path)
    return DataTable(shown(path), unit, rows, columns_of(rows), path.absolute().parent)


def columns_of(rows: Iterable[DataRow]) -> tuple[str, ...]:
    """The columns that any row has, in the order in which they come up."""
    return tuple(dict.fromkeys(column for row in rows for column in row.cells))


def _empty(path: Path) -> NoReturn:
    raise UsageError(
        f"{shown(path)} is empty. Give a file with a row for each problem; the columns `prompt` "
        "and `answer` are enough."
    )


def _too_many(path: Path) -> NoReturn:
    raise UsageError(
        f"{shown(path)} has more than {MOST_ROWS:,} rows. Give a sample of them; a run trains on a "
        "few thousand."
    )


def shown(path: Path) -> str:
    """A path in a message."""
    return printable(str(path), 200)


def kind_of(value: Any) -> str:
    """The kind of thing in a cell, for a message."""
    if value is None:
        return "empty"
    kinds: tuple[tuple[type, str], ...] = (
        (NumberText, "a number"),
        (str, "a text"),
        (bool, "a truth value"),
        (list, "a list"),
        (dict, "an object"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), "binary data")


def _text(path: Path, content: bytes) -> str:
    """The text of a file in UTF-8, or in what its byte order mark says."""
    encoding = next((name for mark, name in _BOMS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UsageError(_no_text(path, content, f" (line {line}: {error.reason})")) from error
    if "\0" in text:
        raise UsageError(_no_text(path, content, " (it has NUL bytes)"))
    return text


def _no_text(path: Path, content: bytes, why: str) -> str:
    found = next((what for magic, what in _MAGIC.items() if content.startswith(magic)), "")
    looks = f"; it looks like {found}" if found else ""
    advice = "Give what is in it, or name it by what it is" if found else "Save it as UTF-8 text"
    return f"{shown(path)} is no UTF-8 text{why}{looks}. {advice}."


def _json_lines(path: Path, content: bytes) -> Iterator[DataRow]:
    for number, line in enumerate(_text(path, content).split("\n"), start=1):
        if not line.strip():
            continue
        where = f"Line {number} of {shown(path)}"
        try:
            found = _loads(line)
        except ValueError as error:
            hint = " If the file is one JSON document, name it .json." if number == 1 else ""
            raise UsageError(
                f"{where} is no JSON: {_said(error)}. Write one object on each line, such as "
                f'{{"prompt": "2 + 2 =", "answer": 4}}.{hint}'
            ) from error
        yield DataRow(number, _object(where, found))


def _json(path: Path, content: bytes) -> Iterator[DataRow]:
    try:
        found = _loads(_text(path, content))
    except ValueError as error:
        line = f"line {error.lineno}: " if isinstance(error, json.JSONDecodeError) else ""
        hint = " One object on each line is a .jsonl file." if "Extra data" in str(error) else ""
        raise UsageError(
            f"{shown(path)} is no JSON: {line}{_said(error)}. Write a list of objects, such as "
            f'[{{"prompt": "2 + 2 =", "answer": 4}}].{hint}'
        ) from error
    number = 0
    for split, items in _lists(path, found):
        for item in items:
            number += 1
            cells = _object(f"Item {number} of {shown(path)}", item)
            yield DataRow(number, cells | ({SPLIT_KEY: split} if split else {}))


def _lists(path: Path, found: Any) -> Iterator[tuple[str, list[Any]]]:
    """The lists of rows in a document, each with its key where there are several."""
    if isinstance(found, list):
        yield "", found
    elif isinstance(found, dict) and found and all(isinstance(v, list) for v in found.values()):
        for key, items in found.items():
            yield (key if len(found) > 1 else ""), items
    else:
        raise UsageError(
            f"{shown(path)} holds no list of rows. Write a list of objects, such as "
            '[{"prompt": "2 + 2 =", "answer": 4}], or one list for each split: '
            '{"train": […], "validation": […], "test": […]}.'
        )


def _loads(text: str) -> Any:
    try:
        return json.loads(
            text, parse_int=NumberText, parse_float=NumberText, parse_constant=_constant
        )
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def _said(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} (column {error.colno})"
    return one_line(str(error), 100)


def _object(where: str, found: Any) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise UsageError(
            f"{where} is {kind_of(found)}, but must be an object such as "
            '{"prompt": "2 + 2 =", "answer": 4}.'
        )
    return found


def _separated(path: Path, content: bytes) -> Iterator[DataRow]:
    """The rows of a CSV or TSV file, whose first line names the columns."""
    text = _text(path, content)
    delimiter = "\t" if path.suffix.lower() == ".tsv" else _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            why = str(error)
            if "field limit" in why or "end of data" in why:
                why = "a cell is too long, or a quote is never closed"
            raise UsageError(
                f"Line {line} of {shown(path)} cannot be read: {why}. Put a text with quotes, "
                'separators or line ends into double quotes, and write a quote in it as "".'
            ) from error
        if cells is None:
            return
        if not header:
            header = _header(path, cells)
        elif any(cells):
            yield DataRow(line, _cells(path, line, header, cells))


def _delimiter(text: str) -> str:
    """The separator of the columns' names: a comma, a semicolon or a tab."""
    first = text.lstrip("\r\n").partition("\n")[0]
    unquoted = re.sub('"[^"]*"', "", first)
    return max(",;\t", key=unquoted.count)


def _header(path: Path, cells: list[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(
            f"{shown(path)} has two columns called {printable(twice, 80)!r}. Rename one of them."
        )
    return names


def _cells(path: Path, line: int, header: list[str], cells: list[str]) -> dict[str, str | None]:
    if len(cells) != len(header):
        raise UsageError(
            f"Line {line} of {shown(path)} has {len(cells)} cells, but the first line names "
            f"{len(header)} columns. Put a text that holds a separator into double quotes."
        )
    return {name: cell or None for name, cell in zip(header, cells, strict=True) if name}


def _parquet(path: Path, content: bytes) -> Iterator[DataRow]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        if file.metadata.num_rows > MOST_ROWS:
            _too_many(path)
        number = 0
        schema = file.schema_arrow
        narrow = {field.name for field in schema if field.type in (pa.float32(), pa.float16())}
        for batch in file.iter_batches(batch_size=10_000):
            for cells in batch.to_pylist():
                number += 1
                cells |= {name: _widened(cells[name]) for name in narrow}
                yield DataRow(number, {name: plain(value) for name, value in cells.items()})
    except (pa.ArrowException, ValueError, OverflowError, OSError) as error:
        raise UsageError(
            f"{shown(path)} is no whole Parquet file: {one_line(str(error), 200)}. Write it again."
        ) from error


def _widened(value: float | None) -> float | None:
    """A number of a column of less than 64 bits by the shortest decimal that means it there."""
    import numpy as np

    return None if value is None else float(str(np.float32(value)))


def plain(value: Any) -> Any:
    """A cell of Parquet, or of `datasets`, as JSON would have it."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, float):
        return _float(value)
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    return NumberText(value) if is_number else value


def _float(value: float) -> NumberText | None:
    """A float as people write it: 42.0, which a column with gaps makes of 42, as 42."""
    if not isfinite(value):
        return None
    return NumberText(int(value) if value.is_integer() and abs(value) < 1e15 else repr(value))


_READERS: Mapping[str, tuple[str, Callable[[Path, bytes], Iterator[DataRow]]]] = {
    "jsonl": ("line", _json_lines),
    "json": ("item", _json),
    "csv": ("line", _separated),
    "tsv": ("line", _separated),
    "parquet": ("row", _parquet),
}
