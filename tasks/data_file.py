"""A user's own file as a domain, without code: `my.jsonl`, `data/my.csv?verifier=number`.

The name is a path with options after a question mark, joined by `&`; `%26` is an `&` in one. What
may be in the file stands in docs/data.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from cl_bench.contract.errors import UsageError, unknown
from cl_bench.contract.task import (
    FEEDBACK_LEVELS,
    SPLITS,
    FeedbackLevel,
    Problem,
    Split,
    Verdict,
    content_hash,
)
from cl_bench.contract.text import one_line, printable

from .data_columns import DataItem, read_items
from .data_name import SPELLINGS, Name, known, parse, require_file
from .data_python import PREFIX, Own, load_own
from .data_reading import DataTable, read_table, shown
from .data_splits import Splits, order, split_up
from .data_verifiers import Pattern, Verifier, named

__all__ = ["NAMES", "DataDomain", "known", "load"]

NAMES = ()
"""Files are not listed."""
_CHECKED = 100
"""Rows whose own solution is judged when a file is loaded."""
_ABOUT = ".about.json"
"""After a file's name without its suffix: where its licence and citation may stand."""
_loaded: dict[tuple[object, ...], DataDomain] = {}


def load(name: str) -> DataDomain:
    """The domain of a file; whatever is wrong with it is a `UsageError`."""
    found = parse(name)
    path = found.path
    try:
        require_file(path)
        stat = path.stat()
        key = (found.reference, stat.st_mtime_ns, stat.st_size)
        if key not in _loaded:
            _loaded[key] = _domain(found)
        return _loaded[key]
    except OSError as error:
        raise UsageError(
            f"{shown(path)} cannot be read: {error.strerror}. Give another path, or mend that one."
        ) from error


def _domain(name: Name) -> DataDomain:
    path, options = name.path, name.options
    content = path.read_bytes()
    reading = read_items(read_table(path, content), options)
    asked, pattern = options.get("verifier", ""), options.get("pattern", "")
    why, code = "", ""
    verifier: Verifier
    if asked.startswith(PREFIX) and not pattern:
        verifier = own = load_own(asked, reading.table)
        code = own.code
    else:
        verifier, why = named(asked, reading.items, pattern)
    _require_answers(reading.table, reading.items, verifier)
    splits, notes = split_up(reading)
    _require_solutions(reading.table, splits, verifier)
    about = _about(path)
    return DataDomain(
        f"file/{printable(path.name)}",
        _version(content, reading.columns, verifier.name, pattern, code),
        name.reference,
        one_line(options.get("licence") or about.get("licence") or "the user's own", 200),
        one_line(options.get("citation") or about.get("citation") or "the user's own", 2_000),
        verifier,
        splits,
        (*reading.notes, *notes, f"verifier {verifier.name}{f': {why}' if why else ''}"),
    )


def _require_answers(table: DataTable, items: Sequence[DataItem], verifier: Verifier) -> None:
    """Every row has an answer that the verifier can judge by."""
    for item in items:
        try:
            verifier.answer(item)
        except ValueError as error:
            raise UsageError(
                f"The answer {one_line(item.answer, 60)!r} in {table.place(item.number)} {error}, "
                f"which the verifier {verifier.name} needs. Mend it, or name another verifier, "
                "such as verifier=exact."
            ) from error


def _require_solutions(table: DataTable, splits: Splits, verifier: Verifier) -> None:
    """The own solution of a sample of rows scores 1."""
    for split in SPLITS:
        for item in order(splits[split], split, 0, 0)[:_CHECKED]:
            if isinstance(verifier, Pattern) and (fault := verifier.fault(item)):
                raise UsageError(
                    f"The pattern of {table.place(item.number)} cannot be used: "
                    f"{one_line(fault, 100)}. Patterns are those of Python's re."
                )
            solution = verifier.solution(item)
            score = verifier.judge(item, solution, "none").score
            if score < 1:
                raise UsageError(_unsolved(table, item, verifier, solution, score))


def _unsolved(
    table: DataTable, item: DataItem, verifier: Verifier, solution: str, score: float
) -> str:
    other = "math" if verifier.name == "exact" else "exact"
    advice = f"Mend it, or name another verifier, such as verifier={other}."
    if isinstance(verifier, Pattern):
        advice = "Add a column `solution` with a text that the pattern finds."
    if isinstance(verifier, Own):
        advice = "It has to score 1 there; else give a response that does in a column `solution`."
    return (
        f"By the verifier {verifier.name}, the solution {one_line(solution, 60)!r} of "
        f"{table.place(item.number)} scores {score:.10g}. {advice}"
    )


def _about(path: Path) -> Mapping[str, str]:
    """Licence and citation as the file beside the data says them."""
    file = path.with_name(path.stem + _ABOUT)
    if not file.is_file():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{shown(file)} is no JSON: {one_line(str(error), 100)}.") from error
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise UsageError(
            f'{shown(file)} has to be an object of texts, such as {{"licence": "CC-BY-4.0"}}.'
        )
    return {SPELLINGS.get(str(key), str(key)): text for key, text in found.items()}


def _version(
    content: bytes, columns: Mapping[str, str], verifier: str, pattern: str, code: str
) -> str:
    """Changes with the file, and with the options that change scores."""
    digest = hashlib.sha256(hashlib.sha256(content).digest())
    digest.update(json.dumps([sorted(columns.items()), verifier, pattern, code]).encode())
    return f"1+{digest.hexdigest()[:12]}"


@dataclass(frozen=True, eq=False)
class DataDomain:
    """The problems of one file, under one verifier."""

    settings: ClassVar[Collection[str]] = ("default",)

    name: str
    version: str
    reference: str
    licence: str
    citation: str
    verifier: Verifier = field(repr=False)
    splits: Splits = field(repr=False)
    notes: tuple[str, ...]
    """Decisions made in reading the file, for the user to know."""
    items: dict[str, DataItem] = field(default_factory=dict, repr=False)
    """Every problem by its prompt."""
    _orders: dict[tuple[Split, int, int], list[DataItem]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.items.update((item.prompt, item) for split in SPLITS for item in self.splits[split])

    @property
    def summary(self) -> str:
        """One line for a listing."""
        counts = ", ".join(f"{len(self.splits[split])} {split}" for split in SPLITS)
        return "; ".join((f"{len(self.items)} problems of your own ({counts})", *self.notes))

    def task(self, *, seed: int, setting: str, feedback: FeedbackLevel) -> DataTask:
        if setting not in self.settings:
            raise unknown(f"setting of {self.name}", setting, self.settings)
        if feedback not in FEEDBACK_LEVELS:
            raise unknown("feedback level", feedback, FEEDBACK_LEVELS)
        return DataTask(self, seed, feedback)

    def item(self, split: Split, seed: int, index: int) -> DataItem:
        """The problem that `seed` meets as number `index`; each epoch has another order."""
        epoch, place = divmod(index, len(self.splits[split]))
        key = (split, seed, epoch)
        if key not in self._orders:
            if len(self._orders) >= 8:
                self._orders.clear()
            self._orders[key] = order(self.splits[split], *key)
        return self._orders[key][place]


@dataclass(frozen=True, slots=True)
class DataTask:
    """A file's problems in the order of one seed."""

    domain: DataDomain
    seed: int
    feedback: FeedbackLevel

    @property
    def name(self) -> str:
        return self.domain.name

    def rules(self) -> list[str]:
        return []

    def problems(self, split: Split, n: int, start: int = 0) -> list[Problem]:
        if split not in SPLITS:
            raise unknown("split", split, SPLITS)
        if n < 0 or start < 0:
            raise UsageError(f"problems(n={n}, start={start}): both must be 0 or more.")
        return [self._problem(split, index) for index in range(start, start + n)]

    def verify(self, problem: Problem, response: str) -> Verdict:
        item = self.domain.items.get(problem.prompt) or DataItem(0, problem.prompt, problem.answer)
        return self.domain.verifier.judge(item, response, self.feedback)

    def _problem(self, split: Split, index: int) -> Problem:
        item = self.domain.item(split, self.seed, index)
        verifier = self.domain.verifier
        uid = f"{self.name}/{split}/{index}/{content_hash(item.prompt)}"
        answer, solution = verifier.answer(item), verifier.solution(item)
        return Problem(uid, self.name, item.prompt, answer, solution)
