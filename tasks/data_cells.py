"""The texts in cells: prompts, which may be messages, and what is wrong with a cell."""

from __future__ import annotations

import json
from ast import literal_eval
from collections.abc import Mapping
from typing import Any, NoReturn

from cl_bench.contract.errors import UsageError
from cl_bench.contract.text import printable, well_formed

from .data_table import Row, Table, kind_of

MOST_CHARACTERS = 100_000


def read_prompt(table: Table, row: Row, column: str, cell: Any) -> tuple[str, bool]:
    """The prompt as one text, and whether a system message is part of it."""
    if isinstance(cell, str):
        messages = _messages_in(cell)
        if messages is None:
            return sized(table, row, column, cell, MOST_CHARACTERS), False
        cell = messages
    if not are_messages(cell):
        misfit(table, row, column, cell, "a text, or messages with role and content")
    *before, last = cell
    if _role(last) != "user" or any(_role(message) != "system" for message in before):
        roles = ", ".join(printable(_role(message), 20) for message in cell[:8])
        raise UsageError(
            f"The {column} in {table.place(row.number)} is a conversation ({roles}). cl-bench asks "
            "one question at a time, under its own system prompt: give one user message, with a "
            "system message before it if need be."
        )
    texts = [content_of(table, row, column, message) for message in cell]
    return sized(table, row, column, "\n\n".join(texts), MOST_CHARACTERS), bool(before)


def _messages_in(text: str) -> list[Any] | None:
    """The messages that a text cell spells as JSON; None if it is a plain text."""
    if not text.lstrip().startswith("[") or "role" not in text:
        return None
    for read in (json.loads, literal_eval):  # pandas writes messages as Python does
        try:
            found = read(text.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return found if are_messages(found) else None
    return None


def are_messages(cell: Any) -> bool:
    """Whether a cell holds messages."""
    return (
        isinstance(cell, list)
        and bool(cell)
        and all(isinstance(m, dict) and {"role", "content"} <= m.keys() for m in cell)
    )


def _role(message: Mapping[str, Any]) -> str:
    role = str(message["role"])
    return {"developer": "system", "human": "user"}.get(role, role)


def content_of(table: Table, row: Row, column: str, message: Mapping[str, Any]) -> str:
    """The text of a message; `UsageError` if it has none."""
    content = message["content"]
    if isinstance(content, list):
        parts = [part.get("text") if isinstance(part, dict) else None for part in content]
        if all(isinstance(part, str) for part in parts):
            content = "\n".join(map(str, parts))
    if not isinstance(content, str):
        misfit(table, row, f"content in {column}", content, "a text; images are not understood")
    return content


def sized(table: Table, row: Row, column: str, text: str, most: int) -> str:
    """`text` without white space around it, neither empty nor too long."""
    text = well_formed(text.strip())
    if not text:
        misfit(table, row, column, None, "a text")
    if len(text) > most:
        raise UsageError(
            f"The {column} in {table.place(row.number)} has {len(text):,} characters; at most "
            f"{most:,} are read. Shorten it, or leave the row out."
        )
    return text


def misfit(table: Table, row: Row, column: str, cell: Any, wanted: str) -> NoReturn:
    """Say that a cell does not hold what is `wanted`."""
    raise UsageError(
        f"The {column} in {table.place(row.number)} is {kind_of(cell)}, but must be {wanted}. Mend "
        "it, or leave the row out."
    )
