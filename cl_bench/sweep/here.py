"""A cell's run, made in this process; and the end of a process that is not wanted any more."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from time import sleep

from cl_bench.sweep.cell import Cell

RUN, RESUME = "run", "resume"
"""What to do about a cell's run: begin it, or go on with it."""
_POLL = 1.0
"""Seconds from one look at what a process is wanted for to the next."""


def make_here(cell: Cell, folder: Path, act: str) -> str:
    """Make or resume the cell's run in this process, as `act` says; the run's status."""
    from cl_bench import api
    from cl_bench.sweep.logs import Told

    told = Told(cell, folder)
    if act == RESUME:
        return api.resume(folder / cell.name, progress=told).status
    return api.run(**cell.arguments(folder), progress=told).status


def end_unless(wanted: Callable[[], bool]) -> None:
    """From now on end this process, at once, when it is not wanted any more."""

    def watch() -> None:
        while wanted():
            sleep(_POLL)
        os._exit(1)

    Thread(target=watch, daemon=True).start()
