"""A run's tables as trackers are sent them: by `cl-bench track`, and the past of a resumed run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cl_bench.analysis.run_values import run_metrics
from cl_bench.contract.errors import TrackerError
from cl_bench.contract.redaction import short_line
from cl_bench.contract.text import printable
from cl_bench.store.run_tables import RunTables
from cl_bench.trackers import Started, TrackedRun, Tracker, hush
from cl_bench.trackers.values import NAMES, Entry, config_of, entries, summary


def history(run: RunTables) -> Iterator[Entry]:
    """All entries of the tables, in the order of their steps."""
    tables = {name: run.table(name).to_dict("records") for name in NAMES}
    return entries(tables)


def summary_of(run: RunTables) -> Entry:
    """The metrics of a finished run, at its last step."""
    steps = sum(stage["steps"] for stage in run.manifest["stream"]["stages"])
    return summary(run_metrics(run), steps)


def tracked_run(run: RunTables, folder: Path) -> TrackedRun:
    """What trackers are told of a run; `folder` is for files of their own."""
    manifest = run.manifest
    return TrackedRun(
        name=name_of(run),
        stream=str(manifest["stream"]["name"]),
        learner=str(manifest["learner"]),
        config=config_of(manifest),
        folder=str(folder.resolve()),
    )


def name_of(run: RunTables) -> str:
    """That of its directory, or of the file that it is packed in."""
    return printable(run.path.resolve().name.removesuffix(".zip"))


def send(run: RunTables, name: str, tracker: Tracker, folder: Path) -> Started:
    """Send a recorded run as a new tracked run; `folder` is for files of the tracker's own.

    Whatever goes wrong in the tracker is a `TrackerError`.
    """
    recorded = [*history(run)]
    status = str(run.manifest["status"])
    if status == "done":
        recorded.append(summary_of(run))
    hush()
    try:
        started = tracker.start(tracked_run(run, folder), None)
        for entry in recorded:
            if entry.values:
                tracker.log(entry.step, entry.values)
            for title, text in entry.texts.items():
                tracker.text(entry.step, title, text)
        tracker.finish("interrupted" if status == "running" else status)
    except Exception as error:
        raise TrackerError(
            f"{name} did not take the run {run.path}: "
            f"{short_line(f'{type(error).__name__}: {error}').rstrip('.')}. Mend that and send it "
            "again; what was sent up to there stays."
        ) from error
    return started
