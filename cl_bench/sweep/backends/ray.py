"""Runs on the nodes of a Ray cluster, each in a process of its own that Ray places by its needs.

    every cell     one task of Ray: one CPU, and the GPUs of a run, on one node
    every task     asks a worker process for its cell, as `local` does, so that a run is the same
                   wherever it is made, and a run that ends its process is no fault of the cluster's
    lost nodes     their cells are submitted again and resumed from their checkpoints

The runs' folder has to be there on every node, under the same path.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from time import sleep
from typing import Any
from uuid import uuid4

from cl_bench.contract.errors import UsageError
from cl_bench.contract.text import one_line, printable, reason_of
from cl_bench.execution.provenance import provenance
from cl_bench.sweep.backends.backend import BackendConfig, CellOutcome, CellState
from cl_bench.sweep.backends.process import WorkerProcess
from cl_bench.sweep.cell import Cell

_ATTEMPTS = 4
"""Times that a cell is submitted before the cluster's losses count as its failure."""
_ANSWER = 5.0
"""Seconds in which the address of a cluster has to accept a connection."""
_START = 180.0
"""Seconds in which every node has to have looked at the folder; a node's first task starts slow."""
_REASON = 200
"""Characters of a message of Ray's."""
_SOFTWARE = ("cl_bench", "source_hash", "packages")
"""What has to be the same on every node, of a run's provenance."""


class Ray:
    """A Ray cluster: one that runs already, or one of this machine for the sweep alone."""

    def __init__(self, folder: Path, config: BackendConfig) -> None:
        self._folder = folder.absolute()
        self._jobs = config.jobs or None
        self._queue: deque[Cell] = deque()
        self._tasks: dict[Any, _Task] = {}
        self._lost: Counter[Cell] = Counter()
        self._ray = _imported()
        self._joined = self._ray.is_initialized()
        if not self._joined:
            _connect(self._ray, config.ray_address)
        self._probe = self._folder / f".shared-{uuid4().hex}"
        try:
            self._gpus = _gpus_of_a_run(_alive(self._ray), config.gpus_per_run)
            self._probe.touch()
            _require_alike(self._ray, self._probe)
        except BaseException:
            self.close()
            raise

    def submit(self, cells: Sequence[Cell]) -> None:
        self._queue.extend(cells)
        self._fill()

    def ended(self, seconds: float) -> list[CellOutcome]:
        if not self._tasks:
            return []
        self._ray.wait(list(self._tasks), num_returns=1, timeout=seconds)
        ready, _ = self._ray.wait(list(self._tasks), num_returns=len(self._tasks), timeout=0)
        heard = [self._hear(answers) for answers in ready]
        self._fill()
        return [outcome for outcome in heard if outcome is not None]

    def states(self) -> Mapping[Cell, CellState]:
        queued = {cell: CellState(False, "") for cell in self._queue}
        tasks = self._tasks.values()
        return queued | {task.cell: CellState(task.node != "", task.node) for task in tasks}

    def close(self) -> None:
        self._probe.unlink(missing_ok=True)
        if self._joined:
            for answers in self._tasks:
                self._ray.cancel(answers, force=True)
        else:  # ends what the sweep has in the cluster, or all of its own one
            self._ray.shutdown()

    def _fill(self) -> None:
        """Give the cluster all that waits, or as much as is to run at a time."""
        while self._queue and (self._jobs is None or len(self._tasks) < self._jobs):
            cell = self._queue.popleft()
            # Needs are given here, not as options: only so a process of Ray's ends after one run
            # with GPUs. The next might have other GPUs, of which its worker would not know.
            task = self._ray.remote(num_cpus=1, num_gpus=self._gpus)(_make).options(
                max_retries=0,  # of a lost node is told before another one takes the cell
                num_returns="streaming",
                name=cell.name,
            )
            answers = task.remote(cell, self._folder, self._probe, Path.cwd(), self._gpus)
            self._tasks[answers] = _Task(cell)

    def _hear(self, answers: Any) -> CellOutcome | None:
        """Take what a task says: first where it runs, which is no outcome, then its outcome."""
        task = self._tasks[answers]
        try:
            said = self._ray.get(next(answers))
        except self._ray.exceptions.RayTaskError as error:
            outcome = CellOutcome(task.cell, "failed", reason_of(error.cause, _REASON))
        except (self._ray.exceptions.RayError, StopIteration) as error:
            return self._lose(answers, type(error).__name__)
        else:
            if isinstance(said, str):
                task.node = said
                return None
            outcome = said
        del self._tasks[answers]
        if lost := self._lost[task.cell]:
            told = f"submitted {lost + 1} times, as the cluster lost what made it"
            outcome = replace(outcome, note="; ".join(filter(None, (outcome.note, told))))
        return outcome

    def _lose(self, answers: Any, reason: str) -> CellOutcome | None:
        """Submit the cell of a task that was lost with its node again; its outcome after many."""
        task = self._tasks.pop(answers)
        self._lost[task.cell] += 1
        if self._lost[task.cell] < _ATTEMPTS:
            self._queue.appendleft(task.cell)
            return None
        told = f"the cluster lost it {_ATTEMPTS} times, last on {task.node or 'no node'} ({reason})"
        return CellOutcome(task.cell, "failed", told)


@dataclass
class _Task:
    """A cell in the cluster."""

    cell: Cell
    node: str = ""
    """Where it runs; empty as long as it does not."""


_workers: list[WorkerProcess] = []
"""In a process of Ray's, which makes one run at a time, the worker process that it asks."""


def _make(
    cell: Cell, folder: Path, probe: Path, current: Path, gpus: int
) -> Iterator[str | CellOutcome]:
    """Make a cell's run on the node where this is called: yield the node, then the outcome."""
    yield _here()
    if not probe.exists():  # of a node that joined later
        yield CellOutcome(cell, "failed", f"{folder} is not there on {_here()}: share it")
        return
    if not (_workers and _workers[0].alive):
        if current.is_dir():  # names of models and data files may be relative to it
            os.chdir(current)
        hidden = {} if gpus else {"CUDA_VISIBLE_DEVICES": ""}
        _workers[:] = [WorkerProcess(folder, hidden, max(1, gpus), _imports())]
    _workers[0].ask(cell)
    yield _workers[0].answer(cell)


def _here() -> str:
    """The node of this process, by its host's name and Ray's number."""
    context = import_module("ray").get_runtime_context()
    return f"{socket.gethostname()} ({context.get_node_id()[:6]})"


def _imports() -> list[str]:
    """Where this process imports from, without the copies of packages that Ray has for itself."""
    own = Path(str(import_module("ray").__file__)).parent
    return [entry for entry in sys.path if own not in (Path(entry), *Path(entry).parents)]


def _look(probe: Path) -> tuple[str, dict[str, Any]]:
    """What a node sees: its name, and the software that a run would record.

    It leaves a file beside the probe, which the sweep looks for.
    """
    if probe.exists():
        probe.with_name(f"{probe.name}-{_node_id()}").touch()
    return _here(), provenance()


def _node_id() -> str:
    return str(import_module("ray").get_runtime_context().get_node_id())


def _require_alike(ray: Any, probe: Path) -> None:
    """Raise `UsageError` unless every node can write in the probe's folder, with this software."""
    here = provenance()
    asked = {node["NodeID"]: _on(ray, node).remote(probe) for node in _alive(ray)}
    _, late = ray.wait(list(asked.values()), num_returns=len(asked), timeout=_START)
    for node, answer in asked.items():
        name = f"the node {node[:6]}"
        if answer in late:
            raise UsageError(f"{name} did not answer in {_START:.0f} s. Look at `ray status`.")
        try:
            name, there = ray.get(answer)
        except ray.exceptions.RayError as error:
            reason = one_line(str(getattr(error, "cause", error)), _REASON)
            raise UsageError(
                f"{name} of the cluster cannot make runs: {reason}. Every node needs cl-bench, as "
                "this machine has it."
            ) from error
        if not _seen(probe.with_name(f"{probe.name}-{node}")):
            raise UsageError(
                f"{probe.parent} is not one folder for all nodes: {name} does not see what is "
                "written there. Give --runs a folder on storage that all nodes share."
            )
        unlike = [name for name in _SOFTWARE if there[name] != here[name]]
        if unlike:
            raise UsageError(
                f"{name} has other software than this machine ({', '.join(unlike)}), and would "
                "make other runs. Install the same on every node."
            )


def _seen(file: Path) -> bool:
    """Whether a file is there, or soon is, as on a network's file system; it is removed."""
    for _ in range(10):
        if file.exists():
            file.unlink(missing_ok=True)
            return True
        sleep(0.5)
    return False


def _on(ray: Any, node: Mapping[str, Any]) -> Any:
    """The look at the probe, on that node."""
    strategies = import_module("ray.util.scheduling_strategies")
    there = strategies.NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
    return ray.remote(_look).options(num_cpus=0, max_retries=0, scheduling_strategy=there)


def _alive(ray: Any) -> list[Mapping[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]


def _gpus_of_a_run(nodes: Sequence[Mapping[str, Any]], asked: int) -> int:
    """The GPUs to ask for; `UsageError` where no node has as many, or none makes runs at all."""
    most = int(max(node["Resources"].get("GPU", 0) for node in nodes))
    if asked > max(1, most):
        raise UsageError(
            f"gpus_per_run is {asked}, but no node of the cluster has more than {most} GPUs. Give "
            "fewer."
        )
    if not any(node["Resources"].get("CPU", 0) >= 1 for node in nodes):
        raise UsageError("No node of the cluster has a CPU for runs. Start nodes with --num-cpus.")
    return min(asked, most)


def _imported() -> Any:
    # nothing is told to Ray's makers of a cluster that the sweep starts
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        return import_module("ray")
    except ImportError as error:
        raise UsageError(
            f"backend is 'ray', which cannot be imported ({reason_of(error, _REASON)}). "
            "`pip install 'cl-bench[ray]'`, or give another --backend."
        ) from error


def _connect(ray: Any, given: str) -> None:
    """Connect to the cluster at an address, or start one here; `UsageError` if none answers."""
    address = os.environ.get("RAY_ADDRESS", "local") if given == "none" else given
    _require_address(address)
    own = {"include_dashboard": False} if address == "local" else {}
    with _signals_kept():
        try:
            ray.init(address=address, log_to_driver=False, logging_level="error", **own)
        except Exception as error:
            raise UsageError(
                f"There is no Ray cluster at {printable(address, 100)} ("
                f"{reason_of(error, _REASON)}). Give --ray-address one that runs, or leave it out."
            ) from error


def _require_address(address: str) -> None:
    """Raise `UsageError` for an address where nobody listens: Ray would end the process."""
    if address in ("local", "auto"):
        return
    host, _, port = address.rpartition(":")
    shown = printable(repr(address), 100)
    if "/" in host or not host or not port.isdecimal():
        raise UsageError(
            f"ray_address is {shown}, but must be HOST:PORT, as `ray start --head` prints it, "
            "auto or local. Sweeps are started on a machine of the cluster."
        )
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER).close()
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"Nobody answers at ray_address {shown} ({reason_of(error, _REASON)}). Start the "
            "cluster (`ray start --head`), or give the address that it printed."
        ) from error


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray takes SIGTERM for itself, in the main thread."""
    kept = signal.getsignal(signal.SIGTERM)
    yield
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, kept)
