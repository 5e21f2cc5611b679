"""A worker process of a sweep: makes one run after another, each asked for by a line of its input.

    python -P -m cl_bench.sweep.worker FOLDER PARENT RANKS

A line is a cell; the answer is a line with the run's status, or `failed` and why. A run of several
RANKS is made by processes of its own (cl_bench.sweep.launched). An interrupted run goes on from its
checkpoint; one that began with other software, and a finished one of another model, stream or
configuration, is set aside and made anew. One process makes many runs because importing the
libraries takes as long as a short run does. The end of the input ends the worker, and so does the
end of the process PARENT, whatever it is doing: runs can be killed at any moment.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from itertools import count
from pathlib import Path
from time import monotonic, sleep

from cl_bench.sweep.cell import Cell, from_json
from cl_bench.sweep.here import RESUME, RUN, end_unless, make_here
from cl_bench.sweep.launched import make_launched
from cl_bench.sweep.state import FINISHED, Freshness, status

LOCK_WAIT = 120.0
"""Seconds to wait for a run that another process writes: one that lost its parent ends in less, and
so do those of a machine that a cluster has lost."""
_POLL = 1.0
"""Seconds from one look at a locked run to the next."""


def make(cell: Cell, folder: Path, ranks: int = 1) -> dict[str, str]:
    """Make or finish the cell's run; what came of it. Only an interrupt escapes.

    `status` and `reason`; `note` if there is something else to tell.
    """
    from cl_bench.contract.errors import DivergedError

    notes: list[str] = []
    try:
        found = {"status": _when_free(cell, folder, ranks, notes.append), "reason": ""}
    except DivergedError as error:
        found = {"status": "diverged", "reason": str(error)}
    except Exception as error:  # noqa: BLE001 - one run's failure must not end the others
        traceback.print_exc()
        found = {"status": "failed", "reason": f"{type(error).__name__}: {error}"}
    return found | ({"note": "; ".join(notes)} if notes else {})


def _when_free(cell: Cell, folder: Path, ranks: int, tell: Callable[[str], None]) -> str:
    """The status of the cell's run, made once no other process writes it."""
    from cl_bench.contract.errors import LockedError

    deadline = monotonic() + LOCK_WAIT
    while True:
        try:
            return _run(cell, folder, ranks, tell)
        except LockedError:
            if monotonic() >= deadline:
                raise
            sleep(_POLL)


def _run(cell: Cell, folder: Path, ranks: int, tell: Callable[[str], None]) -> str:
    from cl_bench.contract.errors import OtherSoftwareError

    path = folder / cell.name
    if (found := status(cell, folder)) in FINISHED:
        changed = Freshness(folder).changed(cell)
        if not changed:  # the process that held it finished it, or its start is made anew alike
            return found
        tell(f"{changed} changed since the run that was there: it is now {_set_aside(path).name}")
    if (path / "manifest.json").exists():
        try:
            return _make(cell, folder, RESUME, ranks)
        except OtherSoftwareError:
            aside = _set_aside(path)
        tell(f"the unfinished run that was there began with other software: it is now {aside.name}")
    return _make(cell, folder, RUN, ranks)


def _make(cell: Cell, folder: Path, act: str, ranks: int) -> str:
    if ranks == 1:
        return make_here(cell, folder, act)
    return make_launched(cell, folder, act, ranks)


def _set_aside(path: Path) -> Path:
    """Give a run directory another name in its folder, and return that."""
    from cl_bench.store.run_directory import RunDirectory

    names = (path.with_name(f"{path.name}.stale-{number}") for number in count(1))
    aside = next(name for name in names if not name.exists())
    with RunDirectory(path).locked():
        path.rename(aside)
    return aside


def main(folder: Path, parent: int, ranks: int = 1) -> None:
    """Answer cells from the standard input until it ends, or the process `parent` does."""
    from cl_bench.execution.provenance import provenance
    from cl_bench.sweep.logs import logged

    end_unless(lambda: os.getppid() == parent)
    provenance()  # what is recorded of all runs is the code that this process has loaded
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is not an answer
    faulthandler.enable()
    for line in sys.stdin:
        cell = from_json(line)
        with logged(cell, folder):
            outcome = make(cell, folder, ranks)
        print(json.dumps(outcome), file=answers, flush=True)


if __name__ == "__main__":
    # So a sweep ends its workers; what libraries keep in temporary folders is removed at an exit.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
    except KeyboardInterrupt:  # the sweep says how to go on
        sys.exit(130)
