"""Tracking while a run runs. Whatever goes wrong is one warning, and the run goes on without."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from cl_bench.contract.redaction import short_line
from cl_bench.contract.text import printable
from cl_bench.execution.progress import Both, Progress, Quiet
from cl_bench.store.run_directory import RunDirectory
from cl_bench.trackers import TRACKERS, TrackedRun, installed
from cl_bench.trackers.process import TrackerProcess
from cl_bench.trackers.values import (
    Tables,
    Update,
    history,
    of_step,
    summary_of,
    tracked_run,
    updates,
)

if TYPE_CHECKING:
    from cl_bench.contract.records import StepRecord
    from cl_bench.contract.stream import Stream

FOLDER = "tracking"
"""Folder of a run for the trackers' notes, logs and files."""
_PATIENCE = 60
"""Seconds that trackers have together to send what is left; of an interrupted run 10."""
_log = logging.getLogger(__name__)


class Tracking(Quiet):
    """Sends a run's rows on as they come, to all of its trackers."""

    def __init__(self, path: Path, names: Sequence[str], say: Callable[[str], None]) -> None:
        self._path, self._names, self._say = path, names, say
        self._processes: list[TrackerProcess] = []
        self._said: set[str] = set()
        self._broken = False

    def start(self, stream: Stream, learner: str, step: int) -> None:
        """Start the trackers, and send what the tables hold already."""
        with self._harmless():
            directory = RunDirectory.open(self._path)
            for name in self._names:
                self._begin(name, tracked_run(directory, self._path / FOLDER / name))
            self._send(history(directory))

    def step(self, step: int, stage: int, record: StepRecord) -> None:
        with self._harmless():
            self._send([of_step({"step": step, "stage": stage + 1, **asdict(record)})])

    def recorded(self, tables: Tables) -> None:
        with self._harmless():
            self._send(updates(tables))

    def close(self) -> None:
        """Send how the run ended, and wait for the trackers."""
        if not self._processes:
            return
        status = "interrupted"
        with self._harmless():
            directory = RunDirectory.open(self._path)
            found = directory.manifest["status"]
            status = found if found != "running" else status
            if status == "done":
                self._send([summary_of(directory)])
        for process in self._processes:
            process.end(status)
        until = monotonic() + (10 if status == "interrupted" else _PATIENCE)
        for process in self._processes:
            process.wait(until)
        self._report()

    def _begin(self, name: str, run: TrackedRun) -> None:
        if not installed(name):
            _warn(name, f"its package is not installed: python -m pip install 'cl-bench[{name}]'")
            return
        try:
            self._processes.append(TrackerProcess(name, run, self._path / FOLDER))
        except OSError as error:
            _warn(name, str(error))

    def _send(self, sent: Iterable[Update]) -> None:
        if self._processes and not self._broken:
            for update in sent:
                for process in self._processes:
                    process.send(update)
            self._report()

    def _report(self) -> None:
        """Say once where each tracked run is, and once what failed."""
        for process in self._processes:
            if process.where and process.name not in self._said:
                self._said.add(process.name)
                self._say(f"tracked by {process.name}: {process.where}")
            if process.failure and f"{process.name} failed" not in self._said:
                self._said.add(f"{process.name} failed")
                _warn(process.name, process.failure, f"; see {process.log}")

    @contextmanager
    def _harmless(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - no fault of tracking may end a run
            if not self._broken:
                _warn(", ".join(self._names), f"{type(error).__name__}: {error}")
            self._broken = True


def _warn(name: str, reason: str, more: str = "") -> None:
    _log.warning(
        "The tracker %s is off, and the run goes on without it (%s%s). `cl-bench track` can send "
        "its tables afterwards.",
        name,
        short_line(reason).rstrip("."),
        printable(more),
    )


def noted(path: Path) -> tuple[str, ...]:
    """The trackers that the run at `path` was tracked by, as their notes say."""
    return tuple(name for name in TRACKERS if (path / FOLDER / f"{name}.json").is_file())


@contextmanager
def tracked(path: Path, names: Sequence[str], progress: Progress) -> Iterator[Progress]:
    """The progress of a run at `path` that is told to trackers, too; they end when it does."""
    if not names:
        yield progress
        return
    tracking = Tracking(path, names, progress.note)
    try:
        yield Both(progress, tracking)
    finally:
        tracking.close()
