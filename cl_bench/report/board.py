"""The parts of a leaderboard (`cl_bench.report.leaderboard` makes it)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cl_bench.analysis.comparability import Key
from cl_bench.analysis.entries import Settings, Status
from cl_bench.analysis.run_values import Column
from cl_bench.contract.text import one_line, printable
from cl_bench.metrics.stats.ranks import Ranks
from cl_bench.metrics.stats.student import Estimate
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.look import learner_label


@dataclass(frozen=True, eq=False)
class RankedRow:
    """A learner with one setting, among others: its numbers by metric, means over seeds."""

    learner: str
    settings: str
    """Tells it from other rows of the same learner, such as `learning_rate=0.0009`; empty for a
    learner with one setting."""
    configured: Settings
    """Everything about learning that was configured, but the seed."""
    values: Mapping[str, Estimate | Undefined]
    """The mean over seeds, with its interval and k of n seeds; over several boards, of the means
    over these."""
    per_seed: Mapping[str, Mapping[int, float | Undefined]]
    """By metric, then by seed."""
    ranks: Mapping[str, Ranks | Undefined]
    """Undefined where the metric has no better, the row too few seeds (`unranked`), or another
    setting stands for its learner."""
    choice: str
    """Of a learner with several settings, which this is: `1 of 2 settings, with the most seeds`."""
    folded: tuple[RankedRow, ...]
    """The learner's other settings, best average accuracy first; such a row has none itself."""

    @property
    def label(self) -> str:
        """The learner, with its settings where it has several."""
        return f"{self.learner} ({self.settings})" if self.settings else self.learner

    @property
    def name(self) -> str:
        """The row's name for readers: the learner's label, and for a folded row its settings."""
        label = learner_label(self.learner)
        return label if self.choice or not self.settings else f"{label} ({self.told})"

    @property
    def told(self) -> str:
        """Its settings for readers."""
        return printable(self.settings).replace("learning_rate=", "lr=")

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

    folded: tuple[BoardRow, ...]
    seeds: tuple[int, ...]
    """Those of all of the board's rows, in order; of a folded row its own."""
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
    """Learners that are ranked together, each with one setting, best average accuracy first."""

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

    @property
    def every_row(self) -> list[BoardRow]:
        """The rows, each with those that fold under it."""
        return [one for row in self.rows for one in (row, *row.folded)]

    @property
    def settings_words(self) -> list[str]:
        """The settings of all rows, those first that all have alike; a line for each learner."""
        every = [dict(row.configured) for row in self.rows]
        alike = {
            name: value
            for name, value in every[0].items()
            if all(name in other and other[name] == value for other in every)
        }
        own = [
            (row.name, {name: value for name, value in row.configured if name not in alike})
            for row in self.rows
        ]
        return [
            f"{whose}: " + ", ".join(f"{name} {one_line(str(value))}" for name, value in of.items())
            for whose, of in [("All", alike), *own]
            if of
        ]


@dataclass(frozen=True, eq=False)
class Overall:
    """The learners that were run on all of several streams, with one model."""

    model: str
    boards: tuple[int, ...]
    """Places in `Leaderboard.boards` of those that are averaged."""
    of_boards: int
    """How many boards of this model there are."""
    columns: Mapping[str, Column]
    rows: tuple[RankedRow, ...]
    notes: tuple[str, ...]
    """Which learners are not ranked and which boards are left out, and what they lack."""

    @property
    def title(self) -> str:
        """`Mean of 2 of 3 streams`; without the second number where none is left out."""
        some = len(self.boards)
        of = "" if some == self.of_boards else f"{some} of "
        return f"Mean of {of}{self.of_boards} streams"


def unranked(rows: Sequence[RankedRow], metric: str) -> str:
    """Why no row has a rank by this metric: `3 of 8 seeds needed to rank`; empty if one has."""
    ranks = [row.ranks.get(metric) for row in rows]
    reasons = Counter(one.reason for one in ranks if isinstance(one, Undefined))
    if not reasons or any(isinstance(one, Ranks) for one in ranks):
        return ""
    return reasons.most_common(1)[0][0]


def best_mean(rows: Iterable[RankedRow], metric: str, column: Column) -> float | None:
    """The best mean of these rows; None where neither direction is better or all are equal."""
    values = [row.values[metric] for row in rows]
    means = [value.value for value in values if isinstance(value, Estimate)]
    if column.better == "neither" or len({*means}) < 2:
        return None
    return max(means) if column.better == "higher" else min(means)


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
