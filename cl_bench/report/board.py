"""The parts of a leaderboard (`cl_bench.report.leaderboard` makes it)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cl_bench.analysis.comparability import Key
from cl_bench.analysis.entries import Settings, Status
from cl_bench.analysis.run_values import Column
from cl_bench.contract.text import printable
from cl_bench.metrics.stats.ranks import Ranks
from cl_bench.metrics.stats.student import Estimate
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.look import learner_label


@dataclass(frozen=True, eq=False)
class RankedRow:
    """A learner with one setting, among others: its numbers by metric, means over seeds."""

    learner: str
    settings: str
    """Tells it from other rows of the same learner, such as `learning_rate=0.0009`."""
    configured: Settings
    """Everything about learning that was configured, but the seed."""
    values: Mapping[str, Estimate | Undefined]
    """The mean over seeds, with its interval and k of n seeds; over several boards, of the means
    over these."""
    per_seed: Mapping[str, Mapping[int, float | Undefined]]
    """By metric, then by seed."""
    ranks: Mapping[str, Ranks | Undefined]
    """Undefined where the metric has no better or the row only one seed."""

    @property
    def label(self) -> str:
        """The learner, with its settings where it has more than one row."""
        return f"{self.learner} ({self.settings})" if self.settings else self.learner

    @property
    def name(self) -> str:
        """The row's name for readers: its learner's label, with settings where it has several."""
        settings = printable(self.settings).replace("learning_rate=", "lr=")
        label = learner_label(self.learner)
        return f"{label} ({settings})" if settings else label

    @property
    def key(self) -> tuple[str, str]:
        """The same wherever the same learner was run with the same setting."""
        return self.learner, str(self.configured)

    @property
    def order(self) -> tuple[bool, float, str]:
        """Sorts rows: the best average accuracy first, those without one last."""
        value = self.values["average_accuracy"]
        if isinstance(value, Undefined):
            return True, 0.0, self.label
        return False, -value.value, self.label


@dataclass(frozen=True, eq=False)
class BoardRow(RankedRow):
    """A learner with one setting, on one board; its metrics are the board's `columns`."""

    seeds: tuple[int, ...]
    """Those of all of the board's rows, in order."""
    status: Mapping[int, Status]
    """By seed; `missing` is a seed that another row has."""
    reasons: Mapping[int, str]
    """By seed, why a run failed or diverged, if it said so."""
    runs: Mapping[int, Path]
    """By seed, except the missing ones."""
    flags: tuple[str, ...]
    """Warnings for the reader: `dirty tree`, `mixed code`, `2 of 5 seeds missing`, …"""


@dataclass(frozen=True, eq=False)
class Board:
    """Rows that are ranked together, best average accuracy first."""

    key: Key
    words: tuple[str, ...]
    """The key in words, a fact each."""
    stream: str
    """Name and version: `math-to-code, version 1`."""
    model: str
    budget: str
    """The samples that a learner may spend in every stage: `5,120 + 5,120 training samples`."""
    reference: str | None
    """Label of the row of `rl` that sample efficiency is measured against."""
    columns: Mapping[str, Column]
    rows: tuple[BoardRow, ...]
    notes: tuple[str, ...]
    """Why other rows are not here, and what else to mind."""


@dataclass(frozen=True, eq=False)
class Overall:
    """The learners that were run on all of several streams, with one model."""

    model: str
    boards: tuple[int, ...]
    """Places in `Leaderboard.boards` of those that are averaged."""
    columns: Mapping[str, Column]
    rows: tuple[RankedRow, ...]
    notes: tuple[str, ...]
    """Which learners are not ranked, and what they lack."""


@dataclass(frozen=True)
class RunProblem:
    """A run that is not, or not wholly, in the leaderboard."""

    path: Path
    kind: str
    """`unreadable`, `failed`, `diverged`, `unfinished`, `duplicate`."""
    reason: str


@dataclass(frozen=True, eq=False)
class Leaderboard:
    """Everything that the runs of some folders show."""

    boards: tuple[Board, ...]
    overall: tuple[Overall, ...]
    """One per model that has several boards."""
    problems: tuple[RunProblem, ...]


def titles(boards: Sequence[Board]) -> list[str]:
    """Of all boards of a leaderboard: streams, each with what tells it from others of its name,
    which is the version, the model, the budget or a number."""
    found = [board.key.stream for board in boards]
    for tell in (lambda b: f"version {b.key.version}", lambda b: b.model, lambda b: b.budget):
        alike: dict[str, set[str]] = {}
        for title, board in zip(found, boards, strict=True):
            alike.setdefault(title, set()).add(tell(board))
        found = [
            f"{title}, {tell(board)}" if len(alike[title]) > 1 else title
            for title, board in zip(found, boards, strict=True)
        ]
    times, seen = Counter(found), Counter[str]()
    numbered = []
    for title in found:
        seen[title] += 1
        numbered.append(title if times[title] == 1 else f"{title} ({seen[title]})")
    return numbered
