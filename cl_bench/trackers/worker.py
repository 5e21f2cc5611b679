"""The process in which a tracker lives during a run: reads updates as lines of JSON, sends them on.

The first line is the setup; then come updates, and `{"status": …}` last. Answers are lines of JSON
too: `{"where": …}` once the tracker has begun, `{"failed": …}` at most once, last.

What was sent is noted in `<folder>/<name>.json` with the tool's key, so that a resumed run goes on
there and sends nothing twice.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TextIO

from cl_bench.contract.redaction import short_line
from cl_bench.store.files import read_json, write_json_atomically
from cl_bench.trackers import TrackedRun, Tracker, hush, tracker

_LAST_WORDS = 300
"""Seconds after the run's end in which this process ends, whatever a library waits for."""


class Sender:
    """One tracker, and the note of what it was sent."""

    def __init__(self, tracker: Tracker, note: Path) -> None:
        self._tracker, self._note = tracker, note
        held = read_json(note) if note.exists() else {}
        self._key: dict[str, str] | None = held.get("key")
        self._sent: dict[str, int] = held.get("sent", {})
        """By kind, the last step of which an update was sent."""
        self._where = ""

    def start(self, run: TrackedRun) -> str:
        """Begin or go on; where the tracked run is."""
        started = self._tracker.start(run, self._key)
        self._key, self._where = dict(started.key), started.where
        self._write_note()
        return started.where

    def send(self, kind: str, step: int, values: Mapping[str, float], texts: Any) -> None:
        """Send an update on unless it was sent before."""
        if step <= self._sent.get(kind, -1):
            return
        if values:
            self._tracker.log(step, values)
        for name, text in texts.items():
            self._tracker.text(step, name, text)
        self._sent[kind] = step
        self._write_note()  # at once: nobody says beforehand that this process will be killed

    def finish(self, status: str) -> None:
        self._tracker.finish(status)

    def _write_note(self) -> None:
        """Put down the tool's key, and how far the updates went."""
        content = {"where": self._where, "key": self._key, "sent": self._sent}
        write_json_atomically(self._note, content)


def main() -> None:
    """Serve until the updates end, then leave."""
    with TemporaryDirectory(prefix="cl-bench-tracker-", ignore_cleanup_errors=True) as folder:
        tempfile.tempdir = folder  # wandb keeps one there that it would remove at exit
        code = _serve(sys.stdin, _answers())
    # Threads of a library that wait for a server would keep the process: it ends without an exit.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _serve(lines: TextIO, answers: int) -> int:
    setup = json.loads(lines.readline())
    hush()
    try:
        sender = Sender(tracker(setup["tracker"]), Path(setup["note"]))
        _say(answers, where=sender.start(TrackedRun(**setup["run"])))
        sender.finish(_pass_on(lines, sender))
    except BaseException as error:  # noqa: BLE001 - whatever a library raises, exits included
        _say(answers, failed=short_line(f"{type(error).__name__}: {error}"))
        return 1
    return 0


def _pass_on(lines: Iterator[str], sender: Sender) -> str:
    """Send all updates; the status of the run, which is interrupted if nobody says."""
    status = "interrupted"
    for line in lines:
        message = json.loads(line)
        if "status" in message:
            status = str(message["status"])
            break
        sender.send(**message)
    signal.alarm(_LAST_WORDS)
    return status


def _answers() -> int:
    """The pipe to the run; whatever a library prints goes to the log from now on."""
    answers = os.dup(1)
    os.dup2(2, 1)
    return answers


def _say(answers: int, **message: str) -> None:
    with suppress(OSError):  # the run may be gone, and what it handed over is sent all the same
        os.write(answers, (json.dumps(message) + "\n").encode())
