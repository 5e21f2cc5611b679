"""From rows to problems: which columns hold what, and the texts in their cells.

Understood as they are: columns `prompt` and `answer`; TRL's prompt-only and conversational layouts;
verl's `prompt`, `reward_model`; GSM8K's `question`, `answer` with `#### 42` at its end.
"""

from __future__ import annotations

import json
from ast import literal_eval
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from cl_bench.answers import number
from cl_bench.errors import UsageError, unknown
from cl_bench.task import Split
from cl_bench.text import one_line, printable, well_formed

from .data_reading import NumberText, Row, Table, kind_of, shown

MOST_CHARACTERS = 100_000
MOST_IN_ANSWER = 10_000

_NAMES: Mapping[str, tuple[str, ...]] = {
    "prompt": ("prompt", "question", "problem", "query", "instruction", "input"),
    "answer": (
        "answer",
        "ground_truth",
        "reward_model.ground_truth",
        "final_answer",
        "solution",
        "completion",
        "target",
        "label",
        "output",
    ),
    "feedback": ("feedback",),
    "split": ("split",),
    "solution": ("solution",),
}
"""What a column's content may be called, the surest name first. A dot leads into an object."""
COLUMNS = tuple(_NAMES)
_SPLITS: Mapping[str, Split] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "eval": "test",
    "evaluation": "test",
}
_WORKED = "####"


@dataclass(frozen=True, slots=True)
class Item:
    """One row as a problem: what its cells say."""

    number: int
    """Where the row stands in its file."""
    prompt: str
    answer: str
    feedback: str = ""
    """A teacher's words on a wrong answer; empty: none."""
    split: Split | None = None
    solution: str = ""
    """A text that has to score 1, where the file gives one."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A file's problems, and what was done to get them."""

    table: Table
    items: list[Item]
    columns: Mapping[str, str]
    """What the columns hold (prompt, answer, …) to the names of those that were read."""
    notes: tuple[str, ...]


def read_items(table: Table, options: Mapping[str, str]) -> Reading:
    """The problems of `table`; `options` may name columns. Faults are `UsageError`s."""
    columns = _columns(table, options)
    notes: list[str] = []
    cells = {name: [_cell(row, column) for row in table.rows] for name, column in columns.items()}
    systems = 0
    prompts = []
    for row, cell in zip(table.rows, cells["prompt"], strict=True):
        prompt, with_system = _prompt(table, row, columns["prompt"], cell)
        prompts.append(prompt)
        systems += with_system
    if systems:
        notes.append(f"system messages stand in front of {systems} prompts")
    answers = _answers(table, columns["answer"], cells["answer"], notes)
    optional = {
        name: [
            _optional(table, row, name, cell) for row, cell in zip(table.rows, found, strict=True)
        ]
        for name, found in cells.items()
        if name in ("feedback", "solution")
    }
    splits = _splits(table, columns, cells)
    nothing = [""] * len(table.rows)
    items = [
        Item(row.number, *parts)
        for row, *parts in zip(
            table.rows,
            prompts,
            answers,
            optional.get("feedback", nothing),
            splits,
            optional.get("solution", nothing),
            strict=True,
        )
    ]
    return Reading(table, items, columns, tuple(notes))


def _columns(table: Table, options: Mapping[str, str]) -> dict[str, str]:
    """What is read from which column."""
    found = {}
    for name, names in _NAMES.items():
        if name in options:
            column = options[name]
            if column and not _has(table, column):
                raise unknown(f"column of {shown(table.path)}", column, table.columns)
        else:
            column = next((candidate for candidate in names if _has(table, candidate)), "")
        if column:
            found[name] = column
        elif name in ("prompt", "answer"):
            _no_column(table, name)
    if found.get("solution") == found["answer"] or not _needs_solutions(options):
        found.pop("solution", None)
    return found


def _needs_solutions(options: Mapping[str, str]) -> bool:
    """Whether the verifier does not tell by the answer alone what scores 1."""
    return "pattern" in options or options.get("verifier", "").startswith(("regex", "python:"))


def _no_column(table: Table, name: str) -> NoReturn:
    path = shown(table.path)
    has = ", ".join(printable(column, 40) for column in table.columns[:20])
    raise UsageError(
        f"{path} has no column of {name}s. It has: {has}. Understood are: "
        f"{', '.join(_NAMES[name])}. Name yours: {path}?{name}=COLUMN"
    )


def _has(table: Table, column: str) -> bool:
    if column in table.columns:
        return True
    head = column.partition(".")[0]
    return head in table.columns and any(_cell(row, column) is not None for row in table.rows)


def _cell(row: Row, column: str) -> Any:
    """The cell of a column; `a.b` is the part `b` of the object in column `a`."""
    if column in row.cells or "." not in column:
        return row.cells.get(column)
    found: Any = row.cells
    for part in column.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _prompt(table: Table, row: Row, column: str, cell: Any) -> tuple[str, bool]:
    """The prompt as one text, and whether a system message is part of it."""
    if isinstance(cell, str):
        messages = _messages_in(cell)
        if messages is None:
            return _sized(table, row, column, cell, MOST_CHARACTERS), False
        cell = messages
    if not _are_messages(cell):
        _misfit(table, row, column, cell, "a text, or messages with role and content")
    *before, last = cell
    if _role(last) != "user" or any(_role(message) != "system" for message in before):
        roles = ", ".join(printable(_role(message), 20) for message in cell[:8])
        raise UsageError(
            f"The {column} in {table.place(row.number)} is a conversation ({roles}). cl-bench asks "
            "one question at a time, under its own system prompt: give one user message, with a "
            "system message before it if need be."
        )
    texts = [_content(table, row, column, message) for message in cell]
    return _sized(table, row, column, "\n\n".join(texts), MOST_CHARACTERS), bool(before)


def _messages_in(text: str) -> list[Any] | None:
    """The messages that a text cell spells as JSON; None if it is a plain text."""
    if not text.lstrip().startswith("[") or "role" not in text:
        return None
    for read in (json.loads, literal_eval):  # pandas writes messages as Python does
        try:
            found = read(text.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return found if _are_messages(found) else None
    return None


def _are_messages(cell: Any) -> bool:
    return (
        isinstance(cell, list)
        and bool(cell)
        and all(isinstance(m, dict) and {"role", "content"} <= m.keys() for m in cell)
    )


def _role(message: Mapping[str, Any]) -> str:
    role = str(message["role"])
    return {"developer": "system", "human": "user"}.get(role, role)


def _content(table: Table, row: Row, column: str, message: Mapping[str, Any]) -> str:
    content = message["content"]
    if isinstance(content, list):
        parts = [part.get("text") if isinstance(part, dict) else None for part in content]
        if all(isinstance(part, str) for part in parts):
            content = "\n".join(map(str, parts))
    if not isinstance(content, str):
        _misfit(table, row, f"content in {column}", content, "a text; images are not understood")
    return content


def _answers(table: Table, column: str, cells: Sequence[Any], notes: list[str]) -> list[str]:
    answers = [
        _answer(table, row, column, cell) for row, cell in zip(table.rows, cells, strict=True)
    ]
    _require_one_type(table, column, cells)
    if all(_WORKED in answer for answer in answers):
        notes.append(f"the answers are what follows {_WORKED}")
        answers = [
            _sized(table, row, column, answer.rpartition(_WORKED)[2], MOST_IN_ANSWER)
            for row, answer in zip(table.rows, answers, strict=True)
        ]
    return answers


def _answer(table: Table, row: Row, column: str, cell: Any) -> str:
    if isinstance(cell, bool):
        return str(cell).lower()
    if _are_messages(cell) and len(cell) == 1:
        cell = _content(table, row, column, cell[0])
    if not isinstance(cell, str):
        _misfit(table, row, column, cell, "one text or number")
    return _sized(table, row, column, cell, MOST_IN_ANSWER)


def _require_one_type(table: Table, column: str, cells: Sequence[Any]) -> None:
    """Numbers and texts may stand side by side only where the texts are numbers too."""
    first: dict[str, Row] = {}
    for row, cell in zip(table.rows, cells, strict=True):
        kind = kind_of(cell)
        if kind == "a text" and number(cell) is not None:
            continue
        first.setdefault(kind, row)
    if len(first) > 1:
        (one, here), (two, there) = list(first.items())[:2]
        raise UsageError(
            f"The column {column} mixes types: it is {one} in {table.place(here.number)} and {two} "
            f"in {table.unit} {there.number}. Write all answers as texts, or all as numbers."
        )


def _optional(table: Table, row: Row, column: str, cell: Any) -> str:
    if cell is None or cell == "":
        return ""
    if not isinstance(cell, str) or (column == "feedback" and isinstance(cell, NumberText)):
        _misfit(table, row, column, cell, f"a text (?{column}= ignores the column)")
    return _sized(table, row, column, cell, MOST_IN_ANSWER)


def _splits(
    table: Table, columns: Mapping[str, str], cells: Mapping[str, Sequence[Any]]
) -> list[Split | None]:
    if "split" not in cells:
        return [None] * len(table.rows)
    return [
        _split(table, row, columns["split"], cell)
        for row, cell in zip(table.rows, cells["split"], strict=True)
    ]


def _split(table: Table, row: Row, column: str, cell: Any) -> Split:
    found = _SPLITS.get(cell.strip().lower()) if isinstance(cell, str) else None
    if found is None:
        raise UsageError(
            f"The {column} in {table.place(row.number)} is {_shown(cell)}, but must be one of "
            f"{', '.join(_SPLITS)}. If that column means something else, add ?split= to the file's "
            "name."
        )
    return found


def _sized(table: Table, row: Row, column: str, text: str, most: int) -> str:
    """`text` without white space around it, neither empty nor too long."""
    text = well_formed(text.strip())
    if not text:
        _misfit(table, row, column, None, "a text")
    if len(text) > most:
        raise UsageError(
            f"The {column} in {table.place(row.number)} has {len(text):,} characters; at most "
            f"{most:,} are read. Shorten it, or leave the row out."
        )
    return text


def _misfit(table: Table, row: Row, column: str, cell: Any, wanted: str) -> NoReturn:
    raise UsageError(
        f"The {column} in {table.place(row.number)} is {kind_of(cell)}, but must be {wanted}. Mend "
        "it, or leave the row out."
    )


def _shown(cell: Any) -> str:
    return repr(one_line(cell, 40)) if isinstance(cell, str) else kind_of(cell)
