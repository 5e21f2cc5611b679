"""A worker process of a sweep: makes one run after another, each asked for by a line of its input.

    python -m cl_bench.sweep.worker FOLDER

A line is a cell; the answer is a line with the run's status, or `failed` and why. An interrupted
run goes on from its checkpoint. One process makes many runs because importing the libraries takes
as long as a short run does. The end of the input ends the worker.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cl_bench.sweep.cell import Cell, from_json

if TYPE_CHECKING:
    from cl_bench.api import Run


def make(cell: Cell, folder: Path) -> dict[str, str]:
    """Make or finish the cell's run; what came of it. Only an interrupt escapes."""
    from cl_bench.errors import DivergedError

    try:
        return {"status": _run(cell, folder).status, "reason": ""}
    except DivergedError as error:
        return {"status": "diverged", "reason": str(error)}
    except Exception as error:  # noqa: BLE001 - one run's failure must not end the others
        return {"status": "failed", "reason": f"{type(error).__name__}: {error}"}


def _run(cell: Cell, folder: Path) -> Run:
    from cl_bench import api

    path = folder / cell.name
    if (path / "manifest.json").exists():
        return api.resume(path)
    return api.run(**cell.arguments(folder))


def main(folder: Path) -> None:
    """Answer cells from the standard input until it ends."""
    from cl_bench.provenance import provenance

    provenance()  # what is recorded of all runs is the code that this process has loaded
    answers, sys.stdout = sys.stdout, sys.stderr  # what a library prints is no answer
    for line in sys.stdin:
        outcome = make(from_json(line), folder)
        print(json.dumps(outcome), file=answers, flush=True)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except KeyboardInterrupt:  # the sweep says how to go on
        sys.exit(130)
