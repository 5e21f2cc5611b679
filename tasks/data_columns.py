"""From rows to problems: which columns hold what, and the texts in their cells.

Understood as they are: columns `prompt` and `answer`; TRL's prompt-only and conversational layouts;
verl's `prompt`, `reward_model`; GSM8K's `question`, `answer` with `#### 42` at its end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from cl_bench.contract.answers import boxed, number
from cl_bench.contract.errors import UsageError, unknown
from cl_bench.contract.task import Split
from cl_bench.contract.text import one_line, printable

from .data_cells import are_messages, content_of, misfit, read_prompt, sized
from .data_table import NumberText, Row, Table, kind_of, shown

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
    prompts = _prompts(table, columns["prompt"], cells["prompt"], notes)
    if "prompt" not in options and columns["prompt"] == "instruction" and _has(table, "input"):
        prompts = [_joined(prompt, row) for prompt, row in zip(prompts, table.rows, strict=True)]
        notes.append("the prompts are instruction and input, a blank line between them")
    answers = _answers(table, columns["answer"], cells["answer"], notes)
    feedback, solutions = (_optional(table, name, cells) for name in ("feedback", "solution"))
    splits = _splits(table, columns, cells)
    items = [
        Item(row.number, *parts)
        for row, *parts in zip(
            table.rows, prompts, answers, feedback, splits, solutions, strict=True
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


def _prompts(table: Table, column: str, cells: Sequence[Any], notes: list[str]) -> list[str]:
    found = [
        read_prompt(table, row, column, cell) for row, cell in zip(table.rows, cells, strict=True)
    ]
    if systems := sum(with_system for _, with_system in found):
        notes.append(f"system messages stand in front of {systems} prompts")
    return [prompt for prompt, _ in found]


def _joined(instruction: str, row: Row) -> str:
    """An Alpaca row's question: its input, where there is one, belongs to it."""
    given = row.cells.get("input")
    return (
        f"{instruction}\n\n{given.strip()}"
        if isinstance(given, str) and given.strip()
        else instruction
    )


def _answers(table: Table, column: str, cells: Sequence[Any], notes: list[str]) -> list[str]:
    answers = [
        _answer(table, row, column, cell) for row, cell in zip(table.rows, cells, strict=True)
    ]
    _require_one_type(table, column, cells)
    if all(_WORKED in answer for answer in answers):
        notes.append(f"the answers are what follows {_WORKED}")
        answers = [
            sized(table, row, column, answer.rpartition(_WORKED)[2], MOST_IN_ANSWER)
            for row, answer in zip(table.rows, answers, strict=True)
        ]
    if all(boxed(answer) for answer in answers):
        notes.append(r"the answers are what stands in \boxed{…}")
        answers = [boxed(answer)[-1] for answer in answers]
    return answers


def _answer(table: Table, row: Row, column: str, cell: Any) -> str:
    if isinstance(cell, bool):
        return str(cell).lower()
    if are_messages(cell) and len(cell) == 1:
        cell = content_of(table, row, column, cell[0])
    if not isinstance(cell, str):
        misfit(table, row, column, cell, "one text or number")
    return sized(table, row, column, cell, MOST_IN_ANSWER)


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


def _optional(table: Table, name: str, cells: Mapping[str, Sequence[Any]]) -> list[str]:
    """The texts of a column that need not be there, empty where there is none."""
    if name not in cells:
        return [""] * len(table.rows)
    return [
        _optional_text(table, row, name, cell)
        for row, cell in zip(table.rows, cells[name], strict=True)
    ]


def _optional_text(table: Table, row: Row, name: str, cell: Any) -> str:
    if cell is None or cell == "":
        return ""
    if not isinstance(cell, str) or (name == "feedback" and isinstance(cell, NumberText)):
        misfit(table, row, name, cell, f"a text (?{name}= ignores the column)")
    return sized(table, row, name, cell, MOST_IN_ANSWER)


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


def _shown(cell: Any) -> str:
    return repr(one_line(cell, 40)) if isinstance(cell, str) else kind_of(cell)
