"""A process that runs or resumes a small run and kills itself where it was told to."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from cl_bench.api import Run, resume, run
from cl_bench.store.files import write_json_atomically

_PLACES = {
    ("policy.py", "load"): "loading the model",
    ("runner.py", "_restore"): "restoring",
    ("runner.py", "_checkpoint"): "writing a checkpoint",
    ("results.py", "stage_model"): "writing a stage's model",
    ("policy.py", "save_model"): "writing a stage's model",
    ("results.py", "commit"): "writing tables",
    ("results.py", "create"): "writing the manifest",
    ("results.py", "update_manifest"): "writing the manifest",
    ("results.py", "discard_after"): "dropping rows after the checkpoint",
    ("fast.py", "round"): "in a GEPA round",
    ("trl_trainer.py", "_generate_and_score_completions"): "in an RL step, sampling",
    ("trl_trainer.py", "_compute_loss"): "in an RL step, in the loss",
    ("trl_trainer.py", "step"): "in an RL step",
    ("evaluator.py", "evaluate"): "in an evaluation",
    ("api.py", "_finished"): "writing figures and summary",
}
_FILE_EVENTS = {
    *("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "shutil.rmtree"),
}


@dataclass(frozen=True)
class Plan:
    """Where a process kills itself."""

    kind: Literal["moment", "file"]
    """After `at` seconds, or before its `at`-th access to a file of the run."""
    at: float


def live(path: Path, options: Mapping[str, Any], plan: Plan | None, report: Path) -> None:
    """Run or resume the run in `path` to its end or to the plan's, and write a report.

    The report of a finished process has its `seconds` and file `accesses`; of a killed one `where`
    it was; of a failed one its `error`.
    """
    accesses = _Accesses(path)
    sys.addaudithook(accesses)
    if plan is not None:
        _arrange(plan, accesses, report)
    started = time.perf_counter()
    try:
        if (path / "manifest.json").exists():
            resume(path)
        else:
            run(out=path, **options)
    except BaseException:
        write_json_atomically(report, {"error": traceback.format_exc()})
        raise
    seconds = time.perf_counter() - started
    write_json_atomically(report, {"seconds": seconds, "accesses": accesses.count})


def is_complete(path: Path) -> bool:
    """Whether nothing is left to do for the run in `path`."""
    return (path / "summary.txt").exists() and Run(path).status == "done"


class _Accesses:
    """An audit hook that counts accesses to a run's files, and may act before one of them."""

    def __init__(self, home: Path) -> None:
        self._home = str(home)
        self.count = 0
        self.at: float | None = None
        self.act: Callable[[FrameType], None] = lambda _: None

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _FILE_EVENTS or not str(arguments[0]).startswith(self._home):
            return
        self.count += 1
        if self.count == self.at:
            self.at = None  # the report that is written now is an access too
            self.act(sys._getframe())


def _arrange(plan: Plan, accesses: _Accesses, report: Path) -> None:
    main = threading.main_thread().ident
    assert main is not None

    def die(frame: FrameType) -> None:
        write_json_atomically(report, {"where": _place(frame)})
        os.kill(os.getpid(), signal.SIGKILL)

    def wait() -> None:
        time.sleep(plan.at)
        die(sys._current_frames()[main])

    if plan.kind == "moment":
        threading.Thread(target=wait, daemon=True).start()
    else:
        accesses.at, accesses.act = plan.at, die


def _place(frame: FrameType | None) -> str:
    """What the code that `frame` belongs to was doing, by the innermost function of `_PLACES`."""
    while frame is not None:
        code = frame.f_code
        place = _PLACES.get((Path(code.co_filename).name, code.co_name))
        if place is not None:
            return place
        frame = frame.f_back
    return "between two of these"
