"""The two sides of a comparison: the runs of one learner with one setting, a run a seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cl_bench.analysis.comparability import other_items
from cl_bench.analysis.entries import DAMAGED, Entry, read_entry
from cl_bench.analysis.run_values import Measured
from cl_bench.contract.errors import ClBenchError, RunDirectoryError, UsageError
from cl_bench.store.run_tables import RunTables, find_runs


@dataclass(frozen=True, eq=False)
class Side:
    """The runs of one side, by seed."""

    path: Path
    """As it was given: a run or a folder of runs."""
    entries: Mapping[int, Entry]
    runs: Mapping[int, Measured]

    @property
    def learner(self) -> str:
        return next(iter(self.entries.values())).learner

    @property
    def settings(self) -> dict[str, object]:
        """Everything about learning that was configured, but the seed."""
        return dict(next(iter(self.entries.values())).settings)

    def own_settings(self, other: Side) -> dict[str, object]:
        """The settings that both have and do not share."""
        theirs = other.settings
        mine = self.settings
        return {n: of for n, of in mine.items() if n in theirs and theirs[n] != of}


def read_side(path: Path, learner: str | None = None) -> Side:
    """The side at `path`, or of its runs those of `learner`.

    Runs of several learners or settings, two of one seed and damaged ones are refused: what is
    compared has to be one thing.
    """
    runs, broken = find_runs([path])
    if broken:
        raise RunDirectoryError(broken[0].reason)
    read = [(_entry(run), run) for run in _of_learner(path, runs, learner)]
    _require_one(path, [entry for entry, _ in read])
    entries: dict[int, Entry] = {}
    for entry, _ in read:
        if entry.seed in entries:
            raise UsageError(
                f"{path} holds two runs of seed {entry.seed}: {entries[entry.seed].path} and "
                f"{entry.path}. Name one of them, or a folder with one run a seed."
            )
        entries[entry.seed] = entry
    ordered = sorted(entries)
    measured = {entry.seed: Measured(run) for entry, run in read}
    return Side(path, {s: entries[s] for s in ordered}, {s: measured[s] for s in ordered})


def _of_learner(path: Path, runs: Sequence[RunTables], learner: str | None) -> list[RunTables]:
    if learner is None:
        return list(runs)
    found = [run for run in runs if run.manifest.get("learner") == learner]
    if not found:
        names = sorted({str(run.manifest.get("learner")) for run in runs})
        raise UsageError(
            f"{path} holds no run of {learner!r}, but of {', '.join(names)}. Name one of these."
        )
    return found


def _entry(run: RunTables) -> Entry:
    try:
        return read_entry(run)
    except ClBenchError:
        raise
    except DAMAGED as error:
        raise RunDirectoryError(
            f"{run.path} cannot be measured ({type(error).__name__}: {error}): its manifest or "
            "tables are not those of a run. Restore it from a copy."
        ) from error


def _require_one(path: Path, entries: list[Entry]) -> None:
    """Refuse runs that are not of one learner with one setting on one stream."""
    learners = sorted({entry.learner for entry in entries})
    if len(learners) > 1:
        raise UsageError(
            f"{path} holds runs of {len(learners)} learners ({', '.join(learners)}). Name the runs "
            "of one, or pick two with `--learners A,B`; `cl-bench report` compares many."
        )
    first = entries[0]
    for other in entries[1:]:
        lines = first.setup.key.differences(other.setup.key)
        mine, theirs = dict(first.settings), dict(other.settings)
        lines += [
            f"{name} {mine.get(name)} against {theirs.get(name)}"
            for name in {**mine, **theirs}
            if mine.get(name) != theirs.get(name)
        ]
        if lines:
            raise UsageError(
                f"{path} holds runs of several kinds: {first.path} and {other.path} differ in "
                f"{'; '.join(lines)}. Name the runs of one kind."
            )


def why_not(first: Side, second: Side) -> list[str]:
    """What keeps the two from being compared, a line each; empty when they compare."""
    one, other = (next(iter(side.entries.values())).setup.key for side in (first, second))
    shared = [seed for seed in first.entries if seed in second.entries]
    items = (other_items(first.entries[seed].setup, second.entries[seed].setup) for seed in shared)
    return [*one.differences(other), *(line for lines in items for line in lines)]
