"""What a sweep asks of the place where its runs are made, and how such a place is chosen.

A backend is one file here and one line in `BACKENDS`; its settings are fields of `BackendConfig`,
of which the options of every command that makes many runs are made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from cl_bench.contract.errors import UsageError
from cl_bench.contract.settings import setting, settings_of, settle

if TYPE_CHECKING:
    from cl_bench.sweep.cell import Cell

BACKENDS: Mapping[str, str] = {
    "local": "cl_bench.sweep.backends.local:Local",
    "ray": "cl_bench.sweep.backends.ray:Ray",
    "slurm": "cl_bench.sweep.backends.slurm:Slurm",
}
"""By name the `module:class` of each backend, called with the runs' folder and a `BackendConfig`;
it is imported when it is asked for."""


@dataclass(frozen=True)
class BackendConfig:
    """Where a sweep makes its runs."""

    backend: str = setting(
        "local",
        "Where runs are made: processes of this machine, nodes of a Ray cluster, jobs of Slurm.",
        choices=tuple(BACKENDS),
    )
    jobs: int = setting(
        0,
        "Runs made at a time; 0: one per gpus-per-run GPUs or else per core, in a cluster what "
        "fits.",
        (0, 100_000),
    )
    gpus_per_run: int = setting(
        1, "GPUs of each run, where there are any; 0 keeps runs off them.", (0, 1024)
    )
    ray_address: str = setting(
        "none",
        "HOST:PORT of the Ray cluster, or auto for the one on this machine; none: RAY_ADDRESS, or "
        "else a cluster of this machine for the sweep alone.",
    )
    slurm_partition: str = setting("none", "Slurm's partition; none: the site's own choice.")
    slurm_account: str = setting("none", "Slurm's account; none: the user's usual one.")
    slurm_qos: str = setting("none", "Slurm's quality of service; none: the site's own choice.")
    slurm_constraint: str = setting("none", "Features that a node must have, as sbatch takes them.")
    slurm_time: int = setting(
        240, "Minutes that a job may take; a run that needs more goes on later.", (3, 100_000)
    )
    slurm_timeouts: int = setting(
        20, "Times that a run may go on so before it counts as failed.", (0, 10_000)
    )
    slurm_memory: int = setting(0, "GB of memory of a job; 0: the site's own choice.", (0, 100_000))
    slurm_cpus: int = setting(0, "Cores of a job; 0: the site's own choice.", (0, 10_000))
    slurm_template: str = setting(
        "none", "File of #SBATCH lines and shell commands that every job begins with."
    )

    def __post_init__(self) -> None:
        settle(self)
        for item in settings_of(BackendConfig):
            owner = item.name.partition("_")[0]
            others = owner in BACKENDS and owner != self.backend
            if others and getattr(self, item.name) != item.default:
                raise UsageError(
                    f"{item.name} belongs to the backend {owner}, but runs are made by "
                    f"{self.backend}. Give `--backend {owner}`, or leave it out."
                )


@dataclass(frozen=True)
class CellOutcome:
    """The outcome of a cell."""

    cell: Cell
    status: str
    """done, diverged, no start (its start diverged, so that it can never be made) or failed."""
    reason: str
    seconds: float = 0.0
    note: str = ""
    """A further remark; mostly empty."""


class CellState(NamedTuple):
    """How it stands with a cell that was submitted and has not ended."""

    running: bool
    where: str
    """Where it runs, such as a node's name, or what it waits for; may be empty."""


class Backend(Protocol):
    """A place that makes runs by `cl_bench.sweep.worker`.

    Opening one raises `UsageError` for whatever would keep all runs from being made. The folder of
    the runs must be there for every process that makes one. Not for several threads.
    """

    def submit(self, cells: Sequence[Cell]) -> None:
        """Take cells whose starts are there. May be called again, with other cells."""

    def ended(self, seconds: float) -> list[CellOutcome]:
        """Return the outcomes that are new, as soon as there are any; wait `seconds` at most.

        Each submitted cell has one outcome in the end; a run's failure is an outcome and raises
        nothing.
        """

    def states(self) -> Mapping[Cell, CellState]:
        """Return the state of every cell that was submitted and whose outcome was not returned."""

    def close(self) -> None:
        """End whatever still runs, and all that was started; unfinished runs can be resumed.

        What is meant to outlive the sweep, as jobs in a queue are, is left alone and told.
        """


def open_backend(folder: Path, config: BackendConfig) -> Backend:
    """Return the backend that `config` names, ready to make runs in `folder`, which exists."""
    module, _, name = BACKENDS[config.backend].partition(":")
    return cast(Backend, getattr(import_module(module), name)(folder, config))
