"""Rows of questions and answers as a domain: what decides scores, and its problems.

A reader (`file`, `hub`) brings the rows and says where they are from; all else is decided here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from cl_bench.contract.errors import UsageError
from cl_bench.contract.task import (
    SPLITS,
    FeedbackLevel,
    IndexedTask,
    Problem,
    Split,
    Verdict,
    content_hash,
    require_offered,
)
from cl_bench.contract.text import one_line

from .columns import DataItem, Reading
from .instructions import NAME as INSTRUCTIONS
from .instructions import Instructions, instructions
from .python import PREFIX, Own, load_own
from .reading import DataTable
from .splits import Splits, order, split_up
from .verifiers import Pattern, Verifier, named

_CHECKED = 100
"""Rows of a split whose own solution is judged when they are loaded."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where rows are from, and what is known of them."""

    name: str
    """The domain's name in tables."""
    reference: str
    """The text by which the registry finds them again."""
    says: str
    """What they are, after their number, for a listing: `problems of your own`."""
    licence: str
    citation: str
    content: bytes
    """Hash of what was read."""


def chosen(options: Mapping[str, str], reading: Reading) -> tuple[Verifier, str]:
    """The verifier that `options` name, or that fits the answers, and in words why."""
    asked, pattern = options.get("verifier", ""), options.get("pattern", "")
    if asked.startswith(PREFIX) and not pattern:
        return load_own(asked, reading.table), ""
    if asked == INSTRUCTIONS and not pattern:
        return instructions(reading.items), ""
    return named(asked, reading.items, pattern)


def data_domain(
    origin: Origin, reading: Reading, verifier: Verifier, why: str, notes: Sequence[str] = ()
) -> DataDomain:
    """The domain of the rows in `reading`; what is wrong with them is a `UsageError`."""
    _require_answers(reading.table, reading.items, verifier)
    splits, found = split_up(reading)
    _require_solutions(reading.table, splits, verifier)
    judged = f"verifier {verifier.name}{f': {why}' if why else ''}"
    version = _version(origin.content, reading.columns, verifier)
    return DataDomain(origin, version, verifier, splits, (*reading.notes, *notes, *found, judged))


def _require_answers(table: DataTable, items: Sequence[DataItem], verifier: Verifier) -> None:
    """Every row has an answer that the verifier can judge by."""
    for item in items:
        try:
            verifier.answer(item)
        except ValueError as error:
            raise UsageError(
                f"The verifier {verifier.name} cannot judge by the answer "
                f"{one_line(item.answer, 60)!r} in {table.place(item.number)}, because it {error}. "
                "Mend it, or name another verifier, such as verifier=exact."
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


def _version(content: bytes, columns: Mapping[str, str], verifier: Verifier) -> str:
    """Changes with the rows, and with the options that change scores."""
    pattern = verifier.pattern if isinstance(verifier, Pattern) else ""
    digest = hashlib.sha256(content)
    digest.update(
        json.dumps([sorted(columns.items()), verifier.name, pattern, verifier.code]).encode()
    )
    return f"1+{digest.hexdigest()[:12]}"


@dataclass(eq=False)
class DataDomain:
    """The problems of one file or data set, under one verifier."""

    settings: ClassVar[Collection[str]] = ("default",)

    origin: Origin = field(repr=False)
    version: str
    verifier: Verifier = field(repr=False)
    splits: Splits = field(repr=False)
    notes: tuple[str, ...]
    """Decisions made in reading the rows, for the user to know."""
    items: dict[str, DataItem] = field(default_factory=dict, repr=False)
    """Every problem by its prompt."""
    _orders: dict[tuple[Split, int, int], list[DataItem]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.items.update((item.prompt, item) for split in SPLITS for item in self.splits[split])
        self.name, self.reference = self.origin.name, self.origin.reference
        self.licence, self.citation = self.origin.licence, self.origin.citation
        counts = ", ".join(f"{len(self.splits[split])} {split}" for split in SPLITS)
        self.summary = "; ".join((f"{len(self.items)} {self.origin.says} ({counts})", *self.notes))

    def task(self, *, seed: int, setting: str, feedback: FeedbackLevel) -> DataTask:
        require_offered(self, setting, feedback)
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


@dataclass(frozen=True)
class DataTask(IndexedTask):
    """The problems of a domain in the order of one seed."""

    domain: DataDomain
    seed: int
    feedback: FeedbackLevel

    @property
    def name(self) -> str:
        return self.domain.name

    def rules(self) -> list[str]:
        return []

    def verify(self, problem: Problem, response: str) -> Verdict:
        item = self.domain.items.get(problem.prompt) or DataItem(0, problem.prompt, problem.answer)
        return self.domain.verifier.judge(item, response, self.feedback)

    def problem(self, split: Split, index: int) -> Problem:
        item = self.domain.item(split, self.seed, index)
        verifier = self.domain.verifier
        uid = f"{self.name}/{split}/{index}/{content_hash(item.prompt)}"
        answer, solution = verifier.answer(item), verifier.solution(item)
        exemplary = not isinstance(verifier, Instructions)
        return Problem(uid, self.name, item.prompt, answer, solution, exemplary)
