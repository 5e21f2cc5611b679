"""Kills runs, resumes them and compares their tables."""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cl_bench.analysis.differences import differences
from cl_bench.api import Run
from cl_bench.contract.errors import ClBenchError, at_least
from cl_bench.contract.registry import DEFAULT_LEARNER
from cl_bench.store.files import file_hash, read_json
from cl_bench.tools.selftest.victim import Plan, is_complete, live

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
"""Two stages of four steps, with an evaluation every two and a round every three."""
_IMPORTED_ONCE = (
    *(
        "cl_bench.execution.runner",
        "cl_bench.slow.trl_trainer",
        "cl_bench.fast.fast_weights",
        "cl_bench.tools.selftest.victim",
    ),
    *("cl_bench.report.figures", "cl_bench.report.summary"),
)
_KILLS_PER_RUN = (1, 2, 3)


@dataclass
class Outcome:
    """What a self-test found."""

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
) -> Outcome:
    """Kill small runs of `learner` at `kills` random points in all, resume and compare them.

    `seed` is that of the runs and of the points. Each finding goes to `say` when it is made.
    """
    at_least(kills=(kills, 0), seed=(seed, 0))
    options = {**SMALL, "learner": learner, "seed": seed, "device": device}
    with TemporaryDirectory() as folder:
        return _SelfTest(Path(folder), options, say).run(kills)


class _SelfTest:
    def __init__(self, folder: Path, options: dict[str, Any], say: Callable[[str], None]) -> None:
        self._folder, self._options, self._say = folder, options, say
        self._rng = random.Random(options["seed"])
        self._outcome = Outcome()
        # Its processes are forked from one that has imported torch and trl but run nothing.
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([*_IMPORTED_ONCE])
        self._undisturbed: dict[str, Any] = {}

    def run(self, kills: int) -> Outcome:
        reference = self._folder / "reference"
        self._undisturbed = self._live(reference, None)
        self._live(self._folder / "again", None)
        self._outcome.repeat = self._compare("a second undisturbed run", self._folder / "again")
        while len(self._outcome.kills) < kills:
            self._outcome.runs += 1
            path = self._folder / f"run-{self._outcome.runs}"
            self._kill_and_resume(path, kills)
            found = self._compare(f"run {self._outcome.runs}, resumed", path)
            self._outcome.resumed += found
        return self._outcome

    def _kill_and_resume(self, path: Path, kills: int) -> None:
        left = self._rng.choice(_KILLS_PER_RUN)
        while not is_complete(path):
            more = left > 0 and len(self._outcome.kills) < kills
            report = self._live(path, self._plan() if more else None)
            if "where" in report:
                left -= 1
                self._outcome.kills.append(report["where"])
                self._say(f"kill {len(self._outcome.kills)}: {report['where']}")

    def _plan(self) -> Plan:
        if self._rng.random() < 0.5:
            return Plan("moment", self._rng.uniform(0, self._undisturbed["seconds"]))
        return Plan("file", self._rng.randint(1, self._undisturbed["accesses"]))

    def _live(self, path: Path, plan: Plan | None) -> dict[str, Any]:
        """A process of its own that runs or resumes `path`; its report."""
        report = self._folder / "report.json"
        report.unlink(missing_ok=True)
        process = self._context.Process(target=live, args=(path, self._options, plan, report))
        process.start()
        process.join()
        found: dict[str, Any] = read_json(report) if report.exists() else {}
        if "error" in found or not found:
            raise ClBenchError(
                f"A process of the self-test ended with exit code {process.exitcode} instead of "
                f"running or resuming {path.name}:\n{found.get('error', 'it left no report')}"
            )
        return found

    def _compare(self, what: str, path: Path) -> list[str]:
        reference = self._folder / "reference"
        found = differences(Run(reference), Run(path)) + _differing_models(reference, path)
        self._say(f"{what}: {'equal tables' if not found else 'DIFFERENT tables'}")
        for line in found:
            self._say(f"  {line}")
        return found


def _differing_models(one: Path, other: Path) -> list[str]:
    """A line for every file of the stages' models that two runs do not share."""
    mine, theirs = (
        {str(file.relative_to(run)): file_hash(file) for file in run.glob("models/*/*")}
        for run in (one, other)
    )
    names = sorted(mine.keys() | theirs.keys())
    return [f"{name}: other content" for name in names if mine.get(name) != theirs.get(name)]
