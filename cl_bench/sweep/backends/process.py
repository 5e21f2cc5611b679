"""A worker process (cl_bench.sweep.worker), as the process that started it sees it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic

from cl_bench.sweep.backends.backend import CellOutcome
from cl_bench.sweep.cell import Cell, as_json

ONE_THREAD: Mapping[str, str] = {
    **{f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")},
    "OMP_WAIT_POLICY": "PASSIVE",
    "TOKENIZERS_PARALLELISM": "false",
}
"""The environment of every process that makes runs."""
_PATIENCE = 60.0
"""Seconds that a worker has to end; runs can be killed at any moment."""
_WORKER = (sys.executable, "-P", "-m", "cl_bench.sweep.worker")


class WorkerProcess:
    """A process of one thread that makes one run after another; it ends with its parent."""

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        ranks: int = 1,
        imports: Iterable[str] | None = None,
        *,
        own_group: bool = False,
    ) -> None:
        """Start it for runs of `ranks` processes in `folder`.

        `imports` has the folders that it imports from, if they are not those of this process. With
        `own_group`, signals to the group of this process do not reach it.
        """
        # With -P a worker imports what this process does, whatever lies in the current folder.
        found = sys.path if imports is None else imports
        paths = os.pathsep.join(str(Path(entry).absolute()) for entry in found)
        self._process = subprocess.Popen(
            [*_WORKER, str(folder), str(os.getpid()), str(ranks)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **ONE_THREAD, **environment, "PYTHONPATH": paths},
            process_group=0 if own_group else None,
        )
        self._began = monotonic()

    @property
    def alive(self) -> bool:
        """Whether it can be asked for a run."""
        return self._process.poll() is None

    @property
    def answers(self) -> int:
        """What can be waited for: the number of a file that is readable when there is an answer."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def ask(self, cell: Cell) -> None:
        """Have the cell's run made; `answer` has what came of it, also when that is impossible."""
        self._began = monotonic()
        assert self._process.stdin is not None
        with suppress(OSError):  # it is dead, which its answer will tell
            self._process.stdin.write(as_json(cell) + "\n")
            self._process.stdin.flush()

    def answer(self, cell: Cell) -> CellOutcome:
        """Wait for the outcome of the cell that was asked for."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        seconds = monotonic() - self._began
        if not line:
            reason = f"its process ended with exit code {self._process.wait()}"
            return CellOutcome(cell, "failed", reason, seconds)
        return CellOutcome(cell, **json.loads(line), seconds=seconds)

    def terminate(self) -> None:
        """Ask it to end; a run that it is making can be resumed."""
        self._process.terminate()

    def close(self) -> None:
        """Wait for its end, which a signal that came at a bad moment did not bring about."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()  # which ends one that makes no run
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with suppress(OSError):
                stream.close()
