"""A run of several ranks, as a worker has it made: torchrun starts a process for each GPU.

    python -m torch.distributed.run … -m cl_bench.sweep.launched FOLDER WORKER ACT PLACE

Every rank makes the run of the cell in PLACE/cell.json, or resumes it, as ACT says; rank 0, and
each that fails, leaves in PLACE what came of it. Ranks end with their launcher, and with the
process WORKER.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

from cl_bench.contract.errors import DivergedError, LockedError, OtherSoftwareError, RankError
from cl_bench.store.files import write_json_atomically
from cl_bench.sweep.cell import Cell, as_json, from_json
from cl_bench.sweep.here import end_unless, make_here

_ANSWER = "answer-{}.json"
_GRACE = 10.0
"""Seconds that a rank waits for rank 0 to fail, too."""
_TOLD = (DivergedError, LockedError, OtherSoftwareError)
"""What a worker does something about."""


def make_launched(cell: Cell, folder: Path, act: str, ranks: int) -> str:
    """Have a cell's run made or resumed by that many ranks; its status, or their error."""
    with TemporaryDirectory() as name:
        place = Path(name)
        (place / "cell.json").write_text(as_json(cell), encoding="utf-8")
        launcher = ("-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}")
        asked = (str(folder), str(os.getpid()), act, name)
        process = subprocess.Popen(
            [sys.executable, *launcher, "-m", "cl_bench.sweep.launched", *asked],
            stdin=subprocess.DEVNULL,
            env=os.environ | {"PYTHONSAFEPATH": "1"},
        )
        try:
            code = process.wait()
        except BaseException:
            process.terminate()  # it ends the ranks
            process.wait()
            raise
        answers = [
            json.loads(file.read_text(encoding="utf-8"))
            for file in sorted(place.glob(_ANSWER.format("*")))
        ]
    if not answers:
        raise RankError(f"a rank ended the run, and torchrun ended with exit code {code}")
    # A rank that lost another one does not know why.
    answer = min(answers, key=lambda answer: answer["error"] == RankError.__name__)
    for kind in _TOLD:
        if answer["error"] == kind.__name__:
            raise kind(answer["told"])
    if answer["error"]:
        raise RankError(f"{answer['error']}: {answer['told']}")
    return str(answer["told"])


def main(folder: Path, worker: int, act: str, place: Path) -> None:
    """Be one of the ranks."""
    from cl_bench.model.ranks import quieten, speak_if_alone

    launcher = os.getppid()
    end_unless(lambda: os.getppid() == launcher and _alive(worker))
    quieten()
    cell = from_json((place / "cell.json").read_text(encoding="utf-8"))
    try:
        answer = {"error": "", "told": make_here(cell, folder, act)}
    except Exception as error:  # noqa: BLE001 - the worker hears of it
        speak_if_alone()
        traceback.print_exc()
        answer = {"error": type(error).__name__, "told": str(error)}
    first, rank = place / _ANSWER.format(0), os.environ["RANK"]
    if rank == "0" or answer["error"]:
        write_json_atomically(place / _ANSWER.format(rank), answer)
    if answer["error"]:
        end = monotonic() + _GRACE
        while not first.exists() and monotonic() < end:  # the first that exits ends the others
            sleep(0.1)
        sys.exit(1)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
