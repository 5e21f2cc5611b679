"""`cl-bench selftest`: is a run that was killed and resumed equal to one that never was?

Small runs on the embedded model are killed (SIGKILL, from inside) at random moments and at random
accesses to their files, resumed, killed again, and their tables compared with those of a run that
nobody disturbed. Two undisturbed runs are compared first: where a device is not deterministic, this
says by how much.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

from cl_bench.analysis.differences import differences
from cl_bench.api import Run, resume, run
from cl_bench.contract.errors import ClBenchError, at_least, require_posix
from cl_bench.contract.registry import DEFAULT_LEARNER
from cl_bench.contract.stream_names import OF_A_STREAM
from cl_bench.execution.settings import names_of
from cl_bench.store.files import file_hash, read_json, write_json_atomically

SMALL: Mapping[str, Any] = {
    "stream": "math-to-code",
    "setting": "easy",
    "steps": 4,
    "eval_every": 2,
    "problems_per_step": 3,
    "group_size": 4,
    "round_every": 3,
    "population": 2,
    "proposals": 2,
    "round_exercises": 3,
    "items": 3,
    "samples": 2,
    "retention_items": 2,
    "max_new_tokens": 40,
    "threads": 1,
    "keep_stage_models": True,
}
"""Two stages of four steps, with an evaluation every two and a round every three; a learner takes
those of the settings that it has."""
_IMPORTED_ONCE = [
    "cl_bench.execution.runner",
    "cl_bench.slow.trl_trainer",
    "cl_bench.fast.fast_weights",
    "cl_bench.report.figures",
    "cl_bench.report.summary",
    __name__,
]
_KILLS_PER_RUN = (1, 2, 3)
_PLACES = {
    ("policy.py", "load"): "loading the model",
    ("runner.py", "_restore"): "restoring",
    ("runner.py", "_checkpoint"): "writing a checkpoint",
    ("run_directory.py", "stage_model"): "writing a stage's model",
    ("policy.py", "save_model"): "writing a stage's model",
    ("run_directory.py", "commit"): "writing tables",
    ("run_directory.py", "create"): "writing the manifest",
    ("run_directory.py", "update_manifest"): "writing the manifest",
    ("run_directory.py", "discard_after"): "dropping rows after the checkpoint",
    ("fast_weights.py", "round"): "in a GEPA round",
    ("trl_trainer.py", "_generate_and_score_completions"): "in an RL step, sampling",
    ("trl_trainer.py", "_compute_loss"): "in an RL step, in the loss",
    ("trl_trainer.py", "step"): "in an RL step",
    ("evaluator.py", "evaluate"): "in an evaluation",
    ("api.py", "_finish"): "writing figures and summary",
}
"""File and function of a run to what it does."""
_FILE_EVENTS = {
    *("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "shutil.rmtree"),
}


@dataclass
class SelfTest:
    """Kills small runs, resumes and compares them; holds what it found."""

    kills: list[str] = field(default_factory=list)
    """Where each killed process was."""
    runs: int = 0
    """Runs that were killed at least once and then ended."""
    repeat: list[str] = field(default_factory=list)
    """Differences between two runs that nobody disturbed."""
    resumed: list[str] = field(default_factory=list)
    """Differences between killed runs and an undisturbed one."""

    @property
    def passed(self) -> bool:
        return not self.repeat and not self.resumed

    def text(self) -> str:
        """The verdict in one line."""
        if self.repeat:
            return "NOT REPEATABLE: two undisturbed runs of the same seed differ on this device."
        if self.resumed:
            return "FAILED: a killed and resumed run differs from an undisturbed one."
        return (
            f"passed: {len(self.kills)} kills in {self.runs} runs; "
            "all their tables equal those of an undisturbed run."
        )


def selftest(
    *,
    kills: int,
    learner: str = DEFAULT_LEARNER,
    seed: int = 0,
    device: str = "auto",
    say: Callable[[str], None] = lambda _: None,
) -> SelfTest:
    """Kill small runs of `learner` at `kills` random points in all, resume and compare them.

    `seed` is that of the runs and of the points. Each finding goes to `say` when it is made.
    """
    require_posix()
    at_least(kills=(kills, 0), seed=(seed, 0))
    known = {*names_of(learner), "stream", *OF_A_STREAM}
    small = {name: value for name, value in SMALL.items() if name in known}
    options = {**small, "learner": learner, "seed": seed, "device": device}
    rng, found = random.Random(seed), SelfTest()
    with TemporaryDirectory() as name:
        folder = Path(name)
        processes = _Processes(folder, options)
        reference = folder / "reference"
        undisturbed = processes.live(reference)
        processes.live(folder / "again")
        found.repeat = _compared("a second undisturbed run", reference, folder / "again", say)
        while len(found.kills) < kills:
            found.runs += 1
            path = folder / f"run-{found.runs}"
            left = min(rng.choice(_KILLS_PER_RUN), kills - len(found.kills))
            while not _is_complete(path):
                plan = _plan(rng, undisturbed) if left > 0 else None
                report = processes.live(path, plan)
                if "where" in report:
                    left -= 1
                    found.kills.append(report["where"])
                    say(f"kill {len(found.kills)}: {report['where']}")
            found.resumed += _compared(f"run {found.runs}, resumed", reference, path, say)
    return found


@dataclass(frozen=True)
class KillPlan:
    """Where a process kills itself: after some seconds, or before an access to the run's files."""

    seconds: float | None = None
    access: int | None = None


def _plan(rng: random.Random, undisturbed: Mapping[str, Any]) -> KillPlan:
    if rng.random() < 0.5:
        return KillPlan(seconds=rng.uniform(0, undisturbed["seconds"]))
    return KillPlan(access=rng.randint(1, undisturbed["accesses"]))


def _is_complete(path: Path) -> bool:
    """Whether nothing is left to do for the run in `path`."""
    return (path / "summary.txt").exists() and Run(path).status == "done"


def _compared(what: str, reference: Path, path: Path, say: Callable[[str], None]) -> list[str]:
    """The differences between two runs, tables first, then the files of the stages' models."""
    mine, theirs = (
        {str(file.relative_to(run)): file_hash(file) for file in run.glob("models/*/*")}
        for run in (reference, path)
    )
    names = sorted(mine.keys() | theirs.keys())
    found = differences(Run(reference), Run(path))
    found += [f"{name}: other content" for name in names if mine.get(name) != theirs.get(name)]
    say(f"{what}: {'equal tables' if not found else 'DIFFERENT tables'}")
    for line in found:
        say(f"  {line}")
    return found


class _Processes:
    """Processes forked from one that has imported torch and trl but run nothing."""

    def __init__(self, folder: Path, options: Mapping[str, Any]) -> None:
        self._report, self._options = folder / "report.json", options
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_IMPORTED_ONCE)

    def live(self, path: Path, plan: KillPlan | None = None) -> dict[str, Any]:
        """Run or resume `path` in a process of its own; its report, or a `ClBenchError`."""
        self._report.unlink(missing_ok=True)
        given = (path, self._options, plan, self._report)
        process = self._context.Process(target=_live, args=given)
        process.start()
        process.join()
        found: dict[str, Any] = read_json(self._report) if self._report.exists() else {}
        if "error" in found or not found:
            raise ClBenchError(
                f"A process of the self-test ended with exit code {process.exitcode} instead of "
                f"running or resuming {path.name}:\n{found.get('error', 'it left no report')}"
            )
        return found


def _live(path: Path, options: Mapping[str, Any], plan: KillPlan | None, report: Path) -> None:
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
            resume(path, progress=False)
        else:
            run(out=path, progress=False, **options)
    except BaseException:
        write_json_atomically(report, {"error": traceback.format_exc()})
        raise
    seconds = time.perf_counter() - started
    write_json_atomically(report, {"seconds": seconds, "accesses": accesses.count})


class _Accesses:
    """An audit hook that counts accesses to a run's files, and may act before one of them."""

    def __init__(self, home: Path) -> None:
        self._home = str(home)
        self.count = 0
        self.at: int | None = None
        self.act: Callable[[FrameType], None] = lambda _: None

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _FILE_EVENTS or not str(arguments[0]).startswith(self._home):
            return
        self.count += 1
        if self.count == self.at:
            self.at = None  # the report that is written now is an access too
            self.act(sys._getframe())


def _arrange(plan: KillPlan, accesses: _Accesses, report: Path) -> None:
    main = threading.main_thread().ident
    assert main is not None

    def die(frame: FrameType) -> None:
        write_json_atomically(report, {"where": _place(frame)})
        os.kill(os.getpid(), signal.SIGKILL)

    def wait(seconds: float) -> None:
        time.sleep(seconds)
        die(sys._current_frames()[main])

    accesses.at, accesses.act = plan.access, die
    if plan.seconds is not None:
        threading.Thread(target=wait, args=(plan.seconds,), daemon=True).start()


def _place(frame: FrameType | None) -> str:
    """In words, what the code of `frame` was doing, by the innermost function of `_PLACES`."""
    while frame is not None:
        code = frame.f_code
        place = _PLACES.get((Path(code.co_filename).name, code.co_name))
        if place is not None:
            return place
        frame = frame.f_back
    return "between two of these"
