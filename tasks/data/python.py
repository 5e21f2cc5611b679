"""A verifier of the user's own: `python:module.function`."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from math import isfinite
from numbers import Real
from pathlib import Path
from typing import Any

from cl_bench.contract.answers import extract
from cl_bench.contract.errors import UsageError
from cl_bench.contract.task import FeedbackLevel, Verdict
from cl_bench.contract.text import one_line, printable

from .columns import DataItem
from .reading import DataTable
from .verifiers import as_taught, scored

PREFIX = "python:"
_PLACE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
_EXAMPLE = "python:my_verifier.judge"


class VerifierError(UsageError):
    """A verifier of the user's own is broken: it raised, or gave no score from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Own:
    """A function (prompt, answer, response) -> score or (score, feedback)."""

    name: str
    """With its prefix, as it was asked for."""
    function: Callable[[str, str, str], Any]
    code: str
    """Hash of the file that holds it; another function judges otherwise."""
    table: DataTable

    def answer(self, item: DataItem) -> str:
        return item.answer

    def solution(self, item: DataItem) -> str:
        return item.solution or item.answer

    def judge(self, item: DataItem, response: str, level: FeedbackLevel) -> Verdict:
        """The verdict; an exception or what is no score from 0 to 1 is a `VerifierError`."""
        score, feedback = self._called(item, response)
        answer = extract(response, "line").text
        verdict = scored(score, item.answer, level, answer=answer, said=feedback)
        return as_taught(verdict, item, level)

    def _called(self, item: DataItem, response: str) -> tuple[float, str]:
        """The function's score and feedback."""
        where = self.table.place(item.number)
        try:
            found = self.function(item.prompt, item.answer, response)
        except Exception as error:
            raise VerifierError(
                f"The verifier {self.name} raised {type(error).__name__}: "
                f"{one_line(str(error), 200)}, on {where}. Mend it: a wrong response is a score "
                "of 0, never an exception."
            ) from error
        score, feedback = found if isinstance(found, tuple) and len(found) == 2 else (found, "")
        is_score = isinstance(score, Real) and isfinite(score) and 0 <= float(score) <= 1
        if not is_score or not isinstance(feedback, str):
            raise VerifierError(
                f"The verifier {self.name} gave {one_line(repr(found), 80)} on {where}. It has to "
                "give a number from 0 to 1, or such a number and a text."
            )
        return float(score), feedback


def load_own(name: str, table: DataTable) -> Own:
    """The verifier `python:module.function` of `table`; `UsageError` if there is none.

    The module is looked for in the working folder and beside the data file, too.
    """
    place = name.removeprefix(PREFIX)
    if not _PLACE.fullmatch(place):
        raise UsageError(
            f"The verifier {printable(name, 100)!r} names no function. Write it as in {_EXAMPLE}."
        )
    module_name, _, attribute = place.rpartition(".")
    try:
        with _importable(table.folder):
            module = import_module(module_name)
    except Exception as error:
        raise UsageError(
            f"The module {module_name} of the verifier cannot be imported: {type(error).__name__}: "
            f"{one_line(str(error), 200)}. Put {module_name.partition('.')[0]}.py beside the data "
            "file or into the working folder, or install its package."
        ) from error
    function = getattr(module, attribute, None)
    if not callable(function):
        raise UsageError(
            f"{module_name} has no function {attribute!r}. Write one that takes (prompt, answer, "
            f"response) and gives a score from 0 to 1, and name it as in {_EXAMPLE}."
        )
    file = Path(getattr(module, "__file__", None) or "")
    if not file.is_file():
        raise UsageError(
            f"The module {module_name} of the verifier is no file, so that a run could not say "
            "which code judged it. Put the function into a file of its own."
        )
    return Own(name, function, hashlib.sha256(file.read_bytes()).hexdigest(), table)


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """The working folder and the data file's are searched last, and nothing is cached in them."""
    before, wrote = [*sys.path], sys.dont_write_bytecode
    sys.path += [str(Path.cwd()), str(folder)]
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.path[:] = before
        sys.dont_write_bytecode = wrote
