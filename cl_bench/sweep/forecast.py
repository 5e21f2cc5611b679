"""A sweep before it is made: process-hours, wall time on some machines, disk and memory.

Nothing is run or written. What a run takes is scaled from finished ones (`cl_bench.sweep.estimate`)
and the sweep's schedule is simulated as the pool submits cells: in order, those that start from
another one when that has ended, each to the first place that is free.
"""

from __future__ import annotations

import json
import shlex
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from pathlib import Path

from cl_bench.contract.errors import ClBenchError, UsageError
from cl_bench.contract.registry import LEARNERS
from cl_bench.execution import machine
from cl_bench.model.named import EMBEDDED
from cl_bench.store.files import read_json
from cl_bench.sweep.backends.backend import BackendConfig
from cl_bench.sweep.cell import Cell
from cl_bench.sweep.estimate import (
    LOAD,
    PHASES,
    Estimate,
    Measured,
    Range,
    all_measured,
    asked_by,
    estimate,
    measured,
    total,
)
from cl_bench.sweep.state import FINISHED, MISSING, NO_START, left_of, status, with_starts

PROCESS = 8.0
"""Seconds until a new process begins its first run, as it imports libraries: 5 to 8 were seen on
two cores with other work."""


@dataclass(frozen=True)
class Places:
    """Where runs are made, so many at a time."""

    machines: int
    jobs: int
    """Runs at a time on each machine."""
    gpus: int
    """Of each run; 0 on a CPU."""

    @property
    def count(self) -> int:
        """How many runs are made at a time."""
        return self.machines * self.jobs

    @property
    def device(self) -> str:
        """What hours are counted of."""
        return "GPU" if self.gpus else "core"


@dataclass(frozen=True)
class Planned:
    """A cell that is to be made, or resumed."""

    cell: Cell
    resumed: bool
    share: float
    """What is left of it after its last checkpoint; 1 if it is not resumed."""
    takes: Estimate
    threads: int

    @property
    def seconds(self) -> Range:
        """What it takes now: the rest of its phases, and loading as a whole."""
        load = self.takes.seconds[LOAD]
        rest = [self.takes.seconds[phase].times(self.share) for phase in PHASES if phase != LOAD]
        return total([load, *rest])


@dataclass(frozen=True)
class Forecast:
    """What a sweep takes."""

    finished: int
    without_start: int
    planned: Sequence[Planned]
    measures: Sequence[Measured]
    places: Places
    free: int
    """Bytes of memory that are free on this machine."""

    @property
    def resumed(self) -> int:
        """How many of the planned runs are begun already."""
        return sum(one.resumed for one in self.planned)

    @property
    def process_seconds(self) -> Range:
        """Of all runs together, each process's start included."""
        processes = min(self.places.count, len(self.planned))
        start = PROCESS * processes
        return total([*(one.seconds for one in self.planned), Range(start, start, start)])

    @property
    def device_hours(self) -> Range:
        """GPU-hours where runs use GPUs, else core-hours."""
        if self.places.gpus:
            return self.process_seconds.times(self.places.gpus / 3600)
        threads = max((one.threads for one in self.planned), default=1)
        return self.process_seconds.times(threads / 3600)

    @property
    def wall_seconds(self) -> Range:
        cells = [one.cell for one in self.planned]
        ends = (
            makespan(
                cells,
                {one.cell: one.seconds[number] for one in self.planned},
                self.places.count,
                process=PROCESS,
            )
            for number in range(3)
        )
        return Range(*ends)

    @property
    def disk(self) -> int:
        """Bytes that the runs' directories have in the end."""
        return sum(one.takes.disk for one in self.planned)

    @property
    def disk_peak(self) -> int:
        """Bytes at most: while checkpoints are replaced there are two of each."""
        largest = sorted((one.takes.checkpoint for one in self.planned), reverse=True)
        return self.disk + sum(largest[: self.places.count])

    @property
    def memory(self) -> int | None:
        """The most bytes that a measured run's process held; None where the system did not say."""
        return max((one.memory for one in self.measures if one.memory), default=None)

    @property
    def gpu_memory(self) -> int | None:
        """The most bytes that one held of a GPU; None if all ran on CPUs."""
        return max((one.gpu_memory for one in self.measures if one.gpu_memory), default=None)


def forecast(
    cells: Sequence[Cell],
    folder: Path,
    *,
    on: BackendConfig,
    machines: int = 1,
    measure: Path | None = None,
) -> Forecast:
    """Return what `make_missing` would take on so many machines.

    Finished runs of the cells are the measure, or those in `measure`. Raises `UsageError` where
    there are none, with the command that makes one, or where they say nothing about a cell.
    """
    states = {cell: status(cell, folder) for cell in with_starts(cells)}
    left = left_of(states, folder)
    without = sum(state == NO_START for state in states.values())
    done = [cell for cell, state in states.items() if state == "done" and cell not in left]
    measures = _measures(done, folder) if measure is None else all_measured(measure)
    if left and not measures:
        raise UsageError(
            "No run of this sweep is finished that could be its measure. Make one, or name one by "
            f"--measure: {command(_telling(left), folder)}"
        )
    places, planned = _places(on, machines, measures), []
    for cell in left:
        asked = asked_by(cell, folder)
        try:
            takes = estimate(asked, measures, places.gpus)
        except UsageError as error:
            raise UsageError(f"{error} Make one: {command(cell, folder)}") from None
        resumed = states[cell] not in (*FINISHED, MISSING)
        share = _share_left(folder / cell.name, asked.stream.steps) if resumed else 1.0
        threads = asked.config.threads or machine.cores()
        planned.append(Planned(cell, resumed, share, takes, threads))
    free = machine.free_memory()
    return Forecast(len(states) - len(left) - without, without, planned, measures, places, free)


def makespan(
    cells: Sequence[Cell], seconds: Mapping[Cell, float], places: int, *, process: float = 0.0
) -> float:
    """Return when the last of the cells ends, made in so many places in their order.

    A cell that starts from another one of them is queued when that one has ended. The first cell
    of each place takes `process` seconds more.
    """
    left, waiting = {*cells}, defaultdict[Cell | None, list[Cell]](list)
    for cell in cells:
        waiting[cell.start if cell.start in left else None].append(cell)
    queue, running = deque(waiting.pop(None, [])), list[tuple[float, int, Cell]]()
    now, begun, started = 0.0, 0, 0
    while queue or running:
        while queue and len(running) < places:
            cell, begun = queue.popleft(), begun + 1
            new = len(running) >= started  # else a process is there that is idle
            started += new
            heappush(running, (now + seconds[cell] + (process if new else 0.0), begun, cell))
        now, _, ended = heappop(running)
        queue.extend(waiting.pop(ended, []))
    return now


def command(cell: Cell, folder: Path) -> str:
    """Return the command line of a sweep of one cell that starts from no other."""
    while cell.start is not None:
        cell = cell.start
    words = ["--streams", cell.stream, "--learners", cell.learner, "--seeds", str(cell.seed)]
    words += ["--steps", str(cell.steps)] if cell.steps else []
    words += ["--model", cell.model] if cell.model != EMBEDDED else []
    for name, value in cell.options.items():
        words += ["--set", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
    return shlex.join(["cl-bench", "sweep", *words, "--runs", str(folder)])


def _telling(cells: Sequence[Cell]) -> Cell:
    """The cell whose run would say most about the others: the first that uses most channels."""
    return max(cells, key=lambda cell: len(LEARNERS.load(cell.learner).channels))


def _measures(done: Sequence[Cell], folder: Path) -> list[Measured]:
    found = []
    for cell in done:
        try:
            found.append(measured(folder / cell.name))
        except ClBenchError:  # damaged; a sweep does not look at its tables either
            continue
    return found


def _share_left(run: Path, steps: int) -> float:
    """Return how much of a run is left after its last checkpoint."""
    home = run / "checkpoint"
    try:
        current = (home / "current").read_text(encoding="utf-8").strip()
        return 1 - int(read_json(home / current / "run.json")["step"]) / steps
    except (OSError, ClBenchError, LookupError, TypeError, ValueError):
        return 1.0  # none yet


def _places(on: BackendConfig, machines: int, measures: Sequence[Measured]) -> Places:
    """Return where runs would be made, on machines that are like this one where nothing is said."""
    gpus = on.gpus_per_run if any(one.gpu_memory for one in measures) else 0
    cards = len(machine.gpus())
    if gpus and not (on.jobs or cards):
        raise UsageError(
            "The measured run used a GPU, and this machine has none. Give --jobs, the runs at a "
            "time on each machine."
        )
    jobs = on.jobs or (max(1, cards // gpus) if gpus else machine.cores())
    return Places(machines, jobs, gpus)
