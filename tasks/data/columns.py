"""From rows to problems: which columns hold what, and the texts in their cells.

Understood as they are: columns `prompt` and `answer`; TRL's prompt-only and conversational layouts;
verl's `prompt`, `reward_model`; GSM8K's `question`, `answer` with `#### 42` at its end.
"""

from __future__ import annotations

import json
from ast import literal_eval
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from cl_bench.contract.answers import boxed, number
from cl_bench.contract.errors import UsageError, unknown
from cl_bench.contract.task import Split
from cl_bench.contract.text import one_line, printable, well_formed

from .reading import DataRow, DataTable, NumberText, kind_of

MOST_IN_PROMPT = 100_000
MOST_IN_ANSWER = 10_000

_NAMES: Mapping[str, tuple[str, ...]] = {
    "prompt": ("prompt", "question", "problem", "query", "instruction", "input"),
    "answer": (
        *("answer", "ground_truth", "reward_model.ground_truth", "final_answer", "solution"),
        *("completion", "target", "label", "output"),
    ),
    "feedback": ("feedback",),
    "split": ("split",),
    "solution": ("solution",),
}
"""Columns that may hold each content, the surest name first. A dot leads into an object."""
COLUMNS = tuple(_NAMES)
SPLIT_NAMES: Mapping[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "eval", "evaluation"), "test"),
}
_WORKED = "####"


@dataclass(frozen=True, slots=True)
class DataItem:
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

    table: DataTable
    items: list[DataItem]
    columns: Mapping[str, str]
    """From the content (prompt, answer, …) to the name of the column that was read for it."""
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DataCell:
    """One column of one row: its value, and its place for messages."""

    table: DataTable
    row: DataRow
    column: str
    value: Any

    @property
    def place(self) -> str:
        """`answer in line 7 of my.jsonl`."""
        return f"{self.column} in {self.table.place(self.row.number)}"


def read_items(table: DataTable, options: Mapping[str, str]) -> Reading:
    """The problems of `table`; `options` may name columns. Faults are `UsageError`s."""
    columns = _columns(table, options)
    notes: list[str] = []
    cells = {
        name: [DataCell(table, row, column, _value(row, column)) for row in table.rows]
        for name, column in columns.items()
    }
    prompts = _prompts(cells["prompt"], notes)
    if "prompt" not in options and columns["prompt"] == "instruction" and _has(table, "input"):
        prompts = [_joined(prompt, row) for prompt, row in zip(prompts, table.rows, strict=True)]
        notes.append("the prompts are instruction and input, a blank line between them")
    answers = _answers(cells["answer"], notes)
    none = [""] * len(answers)
    feedback, solutions = (
        [_optional_text(cell, name) for cell in cells[name]] if name in cells else none
        for name in ("feedback", "solution")
    )
    splits = map(_split, cells["split"]) if "split" in cells else [None] * len(answers)
    parts = zip(table.rows, prompts, answers, feedback, splits, solutions, strict=True)
    items = [DataItem(row.number, *texts) for row, *texts in parts]
    return Reading(table, items, columns, tuple(notes))


def _columns(table: DataTable, options: Mapping[str, str]) -> dict[str, str]:
    """From the content (prompt, answer, …) to the column that it is read from."""
    found = {}
    for name, names in _NAMES.items():
        if name in options:
            column = options[name]
            if column and not _has(table, column):
                raise unknown(f"column of {table.source}", column, table.columns)
        else:
            column = next((candidate for candidate in names if _has(table, candidate)), "")
        if column:
            found[name] = column
        elif name in ("prompt", "answer"):
            _no_column(table, name)
    # Elsewhere the verifier tells by the answer alone what scores 1.
    needed = "pattern" in options or options.get("verifier", "").startswith(("regex", "python:"))
    if found.get("solution") == found["answer"] or not needed:
        found.pop("solution", None)
    return found


def _no_column(table: DataTable, name: str) -> NoReturn:
    has = ", ".join(printable(column, 40) for column in table.columns[:20])
    raise UsageError(
        f"{table.source} has no column of {name}s. It has: {has}. Understood are: "
        f"{', '.join(_NAMES[name])}. Name yours: {table.source}?{name}=COLUMN"
    )


def _has(table: DataTable, column: str) -> bool:
    if column in table.columns:
        return True
    head = column.partition(".")[0]
    return head in table.columns and any(_value(row, column) is not None for row in table.rows)


def _value(row: DataRow, column: str) -> Any:
    """The value of a cell; `a.b` is the part `b` of the object in column `a`."""
    if column in row.cells or "." not in column:
        return row.cells.get(column)
    found: Any = row.cells
    for part in column.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _prompts(cells: Sequence[DataCell], notes: list[str]) -> list[str]:
    found = [_prompt(cell) for cell in cells]
    if systems := sum(with_system for _, with_system in found):
        notes.append(f"system messages stand in front of {systems} prompts")
    return [prompt for prompt, _ in found]


def _prompt(cell: DataCell) -> tuple[str, bool]:
    """The prompt as one text, and whether a system message is part of it."""
    messages = cell.value
    if isinstance(messages, str):
        messages = _messages_in(messages)
        if messages is None:
            return _sized(cell, cell.value, MOST_IN_PROMPT), False
    if not _are_messages(messages):
        _misfit(cell, "a text, or messages with role and content")
    *before, last = messages
    if _role(last) != "user" or any(_role(message) != "system" for message in before):
        roles = ", ".join(printable(_role(message), 20) for message in messages[:8])
        raise UsageError(
            f"The {cell.place} is a conversation ({roles}). cl-bench asks "
            "one question at a time, under its own system prompt: give one user message, with a "
            "system message before it if need be."
        )
    texts = [_content(cell, message) for message in messages]
    return _sized(cell, "\n\n".join(texts), MOST_IN_PROMPT), bool(before)


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


def _are_messages(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(m, dict) and {"role", "content"} <= m.keys() for m in value)
    )


def _role(message: Mapping[str, Any]) -> str:
    role = str(message["role"])
    return {"developer": "system", "human": "user"}.get(role, role)


def _content(cell: DataCell, message: Mapping[str, Any]) -> str:
    """The text of a message; `UsageError` if it has none."""
    content = message["content"]
    if isinstance(content, list):
        parts = [part.get("text") if isinstance(part, dict) else None for part in content]
        if all(isinstance(part, str) for part in parts):
            content = "\n".join(map(str, parts))
    if not isinstance(content, str):
        inner = replace(cell, column=f"content in {cell.column}", value=content)
        _misfit(inner, "a text; images are not understood")
    return content


def _joined(instruction: str, row: DataRow) -> str:
    """An Alpaca row's question: its input, where there is one, belongs to it."""
    given = row.cells.get("input")
    if not isinstance(given, str) or not given.strip():
        return instruction
    return f"{instruction}\n\n{given.strip()}"


def _answers(cells: Sequence[DataCell], notes: list[str]) -> list[str]:
    answers = [_answer(cell) for cell in cells]
    _require_one_type(cells)
    if all(_WORKED in answer for answer in answers):
        notes.append(f"the answers are what follows {_WORKED}")
        answers = [
            _sized(cell, answer.rpartition(_WORKED)[2], MOST_IN_ANSWER)
            for cell, answer in zip(cells, answers, strict=True)
        ]
    if all(boxed(answer) for answer in answers):
        notes.append(r"the answers are what stands in \boxed{…}")
        answers = [boxed(answer)[-1] for answer in answers]
    return answers


def _answer(cell: DataCell) -> str:
    value = cell.value
    if isinstance(value, bool):
        return str(value).lower()
    if _are_messages(value) and len(value) == 1:
        value = _content(cell, value[0])
    if not isinstance(value, str):
        _misfit(cell, "one text or number")
    return _sized(cell, value, MOST_IN_ANSWER)


def _require_one_type(cells: Sequence[DataCell]) -> None:
    """Numbers and texts may stand side by side only where the texts are numbers too."""
    first: dict[str, DataCell] = {}
    for cell in cells:
        kind = kind_of(cell.value)
        if kind != "a text" or number(cell.value) is None:
            first.setdefault(kind, cell)
    if len(first) > 1:
        (one, here), (two, there) = list(first.items())[:2]
        raise UsageError(
            f"The column {here.column} mixes types: it is {one} in "
            f"{here.table.place(here.row.number)} and {two} in {there.table.unit} "
            f"{there.row.number}. Write all answers as texts, or all as numbers."
        )


def _optional_text(cell: DataCell, name: str) -> str:
    """The text of a cell that may be empty."""
    value = cell.value
    if value is None or value == "":
        return ""
    if not isinstance(value, str) or (name == "feedback" and isinstance(value, NumberText)):
        _misfit(cell, f"a text (?{name}= ignores the column)")
    return _sized(cell, value, MOST_IN_ANSWER)


def _split(cell: DataCell) -> Split:
    is_text = isinstance(cell.value, str)
    found = SPLIT_NAMES.get(cell.value.strip().lower()) if is_text else None
    if found is None:
        given = repr(one_line(cell.value, 40)) if is_text else kind_of(cell.value)
        raise UsageError(
            f"The {cell.place} is {given}, but must be one of {', '.join(SPLIT_NAMES)}. If that "
            "column means something else, add ?split= to the name."
        )
    return found


def _sized(cell: DataCell, text: str, most: int) -> str:
    """`text` without white space around it, neither empty nor too long."""
    text = well_formed(text.strip())
    if not text:
        _misfit(replace(cell, value=None), "a text")
    if len(text) > most:
        raise UsageError(
            f"The {cell.place} has {len(text):,} characters; at most {most:,} are read. Shorten "
            "it, or leave the row out."
        )
    return text


def _misfit(cell: DataCell, wanted: str) -> NoReturn:
    """Raise a `UsageError`: a cell does not hold what is `wanted`."""
    raise UsageError(
        f"The {cell.place} is {kind_of(cell.value)}, but must be {wanted}. Mend it, or leave the "
        "row out."
    )
