"""Runs as jobs of Slurm: arrays that submitit sends off, each job the run of one cell.

A job that reaches its time limit is put back into the queue, and goes on from its run's checkpoint;
Slurm does the same with one that is preempted or whose node fails.

Jobs outlive the sweep that submitted them. The folder of the runs has a folder `slurm`, with what
submitit keeps of each job, and in CELL.job the number of the last job of a cell: as long as Slurm
has that job, another sweep waits for it and submits none.
"""

from __future__ import annotations

import os
import pickle
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, suppress
from io import StringIO
from multiprocessing.connection import wait
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from cl_bench.contract.errors import UsageError
from cl_bench.contract.redaction import say
from cl_bench.contract.text import counted, one_line
from cl_bench.store.files import write_text_atomically
from cl_bench.sweep.backends.backend import BackendConfig, CellOutcome, CellState
from cl_bench.sweep.backends.process import WorkerProcess
from cl_bench.sweep.cell import Cell

if TYPE_CHECKING:
    from submitit import Job
    from submitit.core.utils import DelayedSubmission

_COMMANDS = ("sbatch", "squeue", "sinfo", "scancel")
_NOBODY_ELSES = ("/tmp", "/var/tmp", "/dev/shm")
_ARRAY = 1000
"""Jobs of one array; Slurm's own limit, MaxArraySize, is 1001 unless a site says otherwise."""
_LOOK = 1.0
"""Seconds between two looks for results."""
_ASK = 10.0
"""Seconds between two questions to Slurm, which serves a whole site."""
_LATE = 30.0
"""Seconds that a file of another node may take to be seen here."""
_OVER = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"),
    *("OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"),
}
"""States that a job never leaves."""


class CellJob:
    """What a job calls: makes a cell's run, and goes on with it when the job begins again."""

    def __init__(self, cell: Cell, folder: Path, gpus: int) -> None:
        self._made_of = cell, folder, gpus
        self._worker: WorkerProcess | None = None

    def __call__(self) -> CellOutcome:
        cell, folder, gpus = self._made_of
        hidden = {} if gpus else {"CUDA_VISIBLE_DEVICES": ""}
        # In a group of its own, because Slurm signals a whole group: what a signal means for the
        # run is decided here.
        worker = self._worker = WorkerProcess(folder, hidden, max(1, gpus), own_group=True)
        try:
            worker.ask(cell)
            wait([worker.answers])
            return worker.answer(cell)
        finally:
            worker.terminate()
            worker.close()

    def checkpoint(self) -> DelayedSubmission:
        """End the run, which can be resumed, and return what does that.

        submitit calls it in the midst of the call, when the job's time is over.
        """
        from submitit.core.utils import DelayedSubmission

        if self._worker is not None:
            self._worker.terminate()
            while self._worker.alive:
                sleep(0.1)
        return DelayedSubmission(CellJob(*self._made_of))


class _Known(NamedTuple):
    """What Slurm says of a job."""

    state: str
    where: str
    """Its node, or why it waits."""


class Slurm:
    """The jobs of a sweep."""

    executor: ClassVar[str] = "slurm"
    """As submitit calls it."""

    def __init__(self, folder: Path, config: BackendConfig) -> None:
        submitit = _submitit()
        _require_commands()
        self._folder = folder.absolute()
        self._home = self._folder / "slurm"
        if any(self._folder.is_relative_to(place) for place in _NOBODY_ELSES):
            say(f"note: {folder} is a folder of this machine; the nodes must see the same files.")
        # With -P a job imports what this process does, whatever lies in the current folder.
        python = f"{shlex.quote(sys.executable)} -P"
        self._executor = submitit.AutoExecutor(
            self._home,
            self.executor,
            slurm_max_num_timeout=config.slurm_timeouts,
            slurm_python=python,
            local_max_num_timeout=config.slurm_timeouts,
            local_python=python,
        )
        self._gpus = _gpus(config)
        self._executor.update_parameters(**_parameters(config, self._gpus))
        self._jobs: dict[Cell, Job[CellOutcome]] = {}
        self._states: dict[Cell, CellState] = {}
        self._lost: dict[Cell, tuple[float, str]] = {}
        """Cells whose jobs are over, as far as Slurm knows: since when, and how."""
        self._asked = 0.0

    def submit(self, cells: Sequence[Cell]) -> None:
        self._home.mkdir(parents=True, exist_ok=True)
        numbers = {cell: number for cell in cells if (number := self._number(cell))}
        known = _squeue()
        if known is None and numbers:
            raise UsageError(
                "squeue does not answer, so that nobody knows which runs have a job already. Give "
                "the same command again when it does."
            )
        alive = {number for number, job in (known or {}).items() if job.state not in _OVER}
        for cell, number in numbers.items():
            job = self._job(number)
            if number in alive and not job.paths.result_pickle.exists():  # a failed one may linger
                self._note(cell, job)
        new = [cell for cell in cells if cell not in self._jobs]
        if found := len(cells) - len(new):
            say(f"{counted(found, 'run')} of {len(cells)} have a job in Slurm already")
        for first in range(0, len(new), _ARRAY):
            self._submit(new[first : first + _ARRAY])
        self._asked = 0.0

    def ended(self, seconds: float) -> list[CellOutcome]:
        deadline = monotonic() + seconds
        while True:
            self._look()
            outcomes = [found for cell in [*self._jobs] if (found := self._outcome(cell))]
            left = deadline - monotonic()
            if outcomes or left <= 0:
                return outcomes
            sleep(min(_LOOK, left))

    def states(self) -> Mapping[Cell, CellState]:
        return self._states

    def close(self) -> None:
        """Leave what is left to Slurm, and say so."""
        if self._jobs:
            numbers = {job.job_id.partition("_")[0] for job in self._jobs.values()}
            say(
                f"{counted(len(self._jobs), 'job')} left in Slurm: squeue --me shows them, the "
                f"same command waits for them, scancel {' '.join(sorted(numbers))} ends them."
            )

    def _submit(self, cells: Sequence[Cell]) -> None:
        """Send off an array, and write down the job of every cell."""
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        calls = [CellJob(cell, self._folder, self._gpus) for cell in cells]
        try:
            with redirect_stderr(StringIO()):  # submitit prints there what it raises as well
                jobs = self._executor.submit_array(calls)
        except (FailedJobError, FailedSubmissionError) as error:
            raise UsageError(f"Slurm refused the jobs: {_refusal(str(error))}") from None
        for cell, job in zip(cells, jobs, strict=True):
            self._note(cell, job)
            write_text_atomically(self._place(cell), job.job_id)

    def _look(self) -> None:
        """Ask Slurm about all jobs, if that was long enough ago."""
        if not self._jobs or monotonic() - self._asked < _ASK:
            return
        self._asked = monotonic()
        known = _squeue()
        if known is None:  # its controller does not answer now, which says nothing about jobs
            return
        for cell, job in self._jobs.items():
            found = known.get(job.job_id, _Known("gone", ""))
            over = found.state in _OVER or found.state == "gone"
            if not over:
                self._lost.pop(cell, None)
                running = found.state == "RUNNING"
                where = found.where if running else f"{found.state.lower()} {found.where}".strip()
                self._states[cell] = CellState(running, where)
            elif cell not in self._lost:
                self._lost[cell] = monotonic(), found.state

    def _outcome(self, cell: Cell) -> CellOutcome | None:
        """The outcome of a cell whose job has ended."""
        job = self._jobs[cell]
        if (outcome := _result(job, cell)) is None:
            if cell not in self._lost:
                return None
            since, state = self._lost[cell]
            if monotonic() - since < _LATE:
                return None
            last = _last_line(job.paths.stderr) or "it left no log"
            outcome = CellOutcome(cell, "failed", f"job {job.job_id} is {state}: {last}")
        for noted in (self._jobs, self._states, self._lost):
            noted.pop(cell, None)
        return outcome

    def _note(self, cell: Cell, job: Job[CellOutcome]) -> None:
        """From now on wait for a cell's job."""
        self._jobs[cell] = job
        self._states[cell] = CellState(False, "")

    def _place(self, cell: Cell) -> Path:
        return self._home / f"{cell.name}.job"

    def _number(self, cell: Cell) -> str:
        """The number of the cell's last job; empty if it never had one."""
        with suppress(OSError):
            return self._place(cell).read_text(encoding="utf-8")
        return ""

    def _job(self, number: str) -> Job[CellOutcome]:
        from submitit import SlurmJob

        return SlurmJob(self._home, number)


def _submitit() -> Any:
    try:
        import submitit
    except ImportError:
        raise UsageError(
            "--backend slurm needs the package submitit, which is not installed: python -m pip "
            "install 'cl-bench[slurm]'"
        ) from None
    return submitit


def _require_commands() -> None:
    for command in _COMMANDS:
        if shutil.which(command) is None:
            raise UsageError(
                f"There is no {command} on this machine. Start the sweep where jobs are submitted "
                "to Slurm, such as its login node, or give another --backend."
            )


def _parameters(config: BackendConfig, gpus: int) -> dict[str, Any]:
    """What is asked of Slurm for every job, in submitit's words."""
    given = {
        f"slurm_{name}": value
        for name in ("partition", "account", "qos", "constraint")
        if (value := getattr(config, f"slurm_{name}")) != "none"
    }
    imports = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)
    cpus = config.slurm_cpus or None
    return {
        **given,
        "name": "cl-bench",
        "timeout_min": config.slurm_time,
        "mem_gb": config.slurm_memory or None,
        "cpus_per_task": cpus,
        "gpus_per_node": gpus or None,
        "slurm_array_parallelism": config.jobs or _ARRAY,
        "slurm_additional_parameters": {"requeue": True},
        # From Slurm 22.05 to 23.11 srun does not take the number from sbatch.
        "slurm_srun_args": [f"--cpus-per-task={cpus}"] if cpus else None,
        "slurm_setup": [
            *_template(config.slurm_template),
            f"export PYTHONPATH={shlex.quote(imports)}",
        ],
    }


def _template(path: str) -> list[str]:
    """The lines of a site's own that every job begins with."""
    if path == "none":
        return []
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"slurm_template is {path}, which cannot be read ({one_line(str(error), 200)}). It "
            "must be a file of #SBATCH lines and shell commands."
        ) from None


def _gpus(config: BackendConfig) -> int:
    """The GPUs of each job: those asked for, where nodes have any."""
    partition = [] if config.slurm_partition == "none" else ["-p", config.slurm_partition]
    resources = _said(["sinfo", "--noheader", "--format=%G", *partition])
    return config.gpus_per_run if resources is None or "gpu" in resources else 0


def _squeue() -> dict[str, _Known] | None:
    """The jobs of this user that Slurm has or had lately, by number; None if it does not say."""
    said = _said(["squeue", "--me", "--array", "--noheader", "--states=all", "--format=%i|%T|%R"])
    if said is None:
        return None
    rows = (line.split("|", 2) for line in said.splitlines())
    return {row[0].strip(): _Known(row[1], row[2].strip()) for row in rows if len(row) == 3}


def _said(command: list[str]) -> str | None:
    """What a command of Slurm prints; None if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


def _refusal(error: str) -> str:
    """Of submitit's report on sbatch what sbatch said."""
    lines = [line.strip() for line in error.splitlines() if line.startswith("sbatch: error:")]
    return one_line("; ".join(line.removeprefix("sbatch: error:") for line in lines) or error, 500)


def _result(job: Job[CellOutcome], cell: Cell) -> CellOutcome | None:
    """What the job's call returned or raised; None if it has not ended so far."""
    with suppress(OSError):  # so a network's file system looks again
        os.utime(job.paths.folder)
    try:
        kind, result = pickle.loads(job.paths.result_pickle.read_bytes())
    except (OSError, EOFError):
        return None
    if kind == "success":
        assert isinstance(result, CellOutcome)
        return result
    return CellOutcome(cell, "failed", f"job {job.job_id}: {_last(str(result))}")


def _last_line(log: Path) -> str:
    with suppress(OSError):
        return _last(log.read_text(encoding="utf-8", errors="replace"))
    return ""


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return one_line(lines[-1], 300) if lines else ""
