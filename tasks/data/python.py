"""A verifier of the user's own: `python:module.function`."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module, invalidate_caches
from importlib.machinery import PathFinder, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from math import isfinite
from numbers import Real
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, cast

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
    """Hash of the file that it was read from; another function judges otherwise."""
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


def edition(name: str, folder: Path) -> str:
    """What changes when the file of a verifier in `folder` is edited; empty for other verifiers."""
    if not (name.startswith(PREFIX) and _PLACE.fullmatch(name.removeprefix(PREFIX))):
        return ""
    file = _own_file(name.removeprefix(PREFIX).rpartition(".")[0], folder)
    return f"{file} {_digest(file.read_bytes())}" if file else ""


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
            module, code = _imported(module_name, table.folder)
    except UsageError:
        raise
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
    if not code:
        raise UsageError(
            f"The module {module_name} of the verifier is no file, so that a run could not say "
            "which code judged it. Put the function into a file of its own."
        )
    return Own(name, function, code, table)


def _imported(module_name: str, folder: Path) -> tuple[ModuleType, str]:
    """The module and the hash of its file, empty if it has none.

    A file of the user's is read anew, whatever Python has imported under its name: it may have been
    edited since, or be another folder's.
    """
    file = _own_file(module_name, folder)
    if file is not None:
        return _read(module_name, file)
    module = import_module(module_name)
    file = Path(getattr(module, "__file__", None) or "")
    return module, _digest(file.read_bytes()) if file.is_file() else ""


def _own_file(module_name: str, folder: Path) -> Path | None:
    """The file of a module in the working folder or in `folder`; None if it is another's."""
    invalidate_caches()
    parts = module_name.split(".")
    with _importable(folder):
        places: list[str] | None = [*sys.path]
    origin = None
    for depth in range(1, len(parts) + 1):
        found = places and PathFinder.find_spec(".".join(parts[:depth]), places)
        if not found:
            return None
        places, origin = found.submodule_search_locations, found.origin
    if not origin or not origin.endswith(".py"):
        return None
    file = Path(origin).resolve()
    root = file.parents[len(parts) - (file.name != "__init__.py")]
    return file if root in (Path.cwd(), folder.resolve()) else None


def _read(module_name: str, file: Path) -> tuple[ModuleType, str]:
    """The module in `file` under a name that no other file and no other text of it has."""
    code = file.read_bytes()
    digest = _digest(code)
    parent = module_name.rpartition(".")[0]
    if parent and str(file.parent) not in map(_real, import_module(parent).__path__):
        raise UsageError(
            f"Another package {parent} than that of {printable(str(file))} is imported already. "
            "Give one of the two another name."
        )
    own = f"{parent}{'.' * bool(parent)}_own_{_digest(str(file).encode())[:16]}_{digest}"
    if own not in sys.modules:
        spec = cast(Any, spec_from_file_location(own, file, loader=_Given(own, str(file), code)))
        sys.modules[own] = module_from_spec(spec)
        try:
            spec.loader.exec_module(sys.modules[own])
        except BaseException:
            del sys.modules[own]
            raise
    return sys.modules[own], digest


class _Given(SourceFileLoader):
    """Runs the text that was hashed, not what the file or a cache of it may have become."""

    def __init__(self, name: str, path: str, code: bytes) -> None:
        super().__init__(name, path)
        self._code = code

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = self.source_to_code(self._code, self.path)
        return code


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _real(folder: str) -> str:
    return str(Path(folder).resolve())


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
