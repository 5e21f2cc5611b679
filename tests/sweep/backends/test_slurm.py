"""Slurm without one: submitit's local executor, and commands that answer as Slurm's do.

`tox -e slurm` runs these; tests/cluster/slurm.sh tries a real Slurm.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from typer.testing import CliRunner

from cl_bench.analysis.differences import differences
from cl_bench.api import Run
from cl_bench.cli.app import app
from cl_bench.contract.errors import UsageError
from cl_bench.sweep.backends import slurm
from cl_bench.sweep.backends.backend import BackendConfig, CellOutcome, open_backend
from cl_bench.sweep.cell import Cell
from cl_bench.sweep.display import Quiet
from cl_bench.sweep.pool import make_missing
from tests.options import SMALLEST

DOCS = Path(__file__).parents[3] / "docs"
CELLS = [Cell("math", "rl", seed, 1) for seed in range(3)]
needs_submitit = pytest.mark.skipif(
    find_spec("submitit") is None, reason="submitit is not installed: tox -e slurm"
)


class Commands:
    """Slurm's commands: they print what the files of their names hold, and note what they get."""

    def __init__(self, home: Path) -> None:
        self._home = home
        for name in ("sbatch", "squeue", "sinfo", "scancel", "srun"):
            self.says(name, "")
        self.says("sbatch", "Submitted batch job 12")
        self.says("sinfo", "gpu:a100:4\n(null)")

    def says(self, name: str, text: str, code: int = 0) -> None:
        noted = shlex.quote(str(self._home / f"{name}.given"))
        lines = ("#!/bin/sh", f'echo "$@" >> {noted}', f"echo {shlex.quote(text)}", f"exit {code}")
        command = self._home / name
        command.write_text("\n".join(lines))
        command.chmod(0o755)

    def given(self, name: str) -> list[str]:
        file = self._home / f"{name}.given"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    home = tmp_path / "bin"
    home.mkdir()
    monkeypatch.setenv("PATH", f"{home}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(slurm, "_ASK", 0.0)
    monkeypatch.setattr(slurm, "_LATE", 0.0)
    return Commands(home)


def config(**settings: Any) -> BackendConfig:
    return BackendConfig(backend="slurm", **settings)


def submitted(folder: Path) -> str:
    (script,) = folder.glob("slurm/*_submission.sh")
    return script.read_text()


@needs_submitit
def test_cells_are_one_array_of_what_the_settings_and_the_template_ask(
    commands: Commands, tmp_path: Path
) -> None:
    template = tmp_path / "site.sh"
    template.write_text("#!/bin/bash\n#SBATCH --reservation=bench\nmodule load cuda\n")
    asked = config(
        jobs=2,
        slurm_partition="big",
        slurm_account="me",
        slurm_time=30,
        slurm_memory=64,
        slurm_cpus=8,
        slurm_template=str(template),
    )
    open_backend(tmp_path / "runs", asked).submit(CELLS)
    assert len(commands.given("sbatch")) == 1
    lines = submitted(tmp_path / "runs").splitlines()
    assert {
        *("#SBATCH --array=0-2%2", "#SBATCH --partition=big", "#SBATCH --account=me"),
        *("#SBATCH --time=30", "#SBATCH --mem=64GB", "#SBATCH --cpus-per-task=8"),
        *("#SBATCH --gpus-per-node=1", "#SBATCH --requeue", "#SBATCH --reservation=bench"),
    } <= {*lines}
    (srun,) = (line for line in lines if line.startswith("srun"))
    assert "--cpus-per-task=8" in srun
    assert f"{sys.executable} -P" in srun
    assert lines.index("module load cuda") < lines.index(srun)


@needs_submitit
@pytest.mark.parametrize(("nodes", "gpus"), [("(null)", 1), ("gpu:a100:4", 0)])
def test_no_gpu_is_asked_for_where_there_are_none_or_none_is_wanted(
    commands: Commands, tmp_path: Path, nodes: str, gpus: int
) -> None:
    commands.says("sinfo", nodes)
    open_backend(tmp_path / "runs", config(gpus_per_run=gpus)).submit(CELLS)
    assert "--gpus-per-node" not in submitted(tmp_path / "runs")


@needs_submitit
def test_jobs_outlive_their_sweep_and_are_taken_up_and_not_submitted_again(
    commands: Commands, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = open_backend(tmp_path / "runs", config())
    first.submit(CELLS)
    commands.says("squeue", "12_0|RUNNING|node7\n12_1|PENDING|(Resources)\n12_2|CANCELLED|None")
    first.close()
    assert "scancel 12 ends them" in capsys.readouterr().err
    assert not commands.given("scancel")
    second = open_backend(tmp_path / "runs", config())
    commands.says("squeue", "error: unable to contact the controller", 1)
    with pytest.raises(UsageError, match=r"^squeue does not answer"):
        second.submit(CELLS)
    commands.says("squeue", "12_0|RUNNING|node7\n12_1|PENDING|(Resources)\n12_2|CANCELLED|None")
    commands.says("sbatch", "Submitted batch job 13")
    second.submit(CELLS)
    assert len(commands.given("sbatch")) == 2
    commands.says("squeue", "12_0|RUNNING|node7\n12_1|PENDING|(Resources)\n13|COMPLETING|node7")
    assert second.ended(0) == []
    assert {cell.seed: tuple(state) for cell, state in second.states().items()} == {
        0: (True, "node7"),
        1: (False, "pending (Resources)"),
        2: (False, "completing node7"),
    }


@needs_submitit
def test_a_job_that_is_over_without_a_result_fails_with_the_end_of_its_log(
    commands: Commands, tmp_path: Path
) -> None:
    backend = open_backend(tmp_path / "runs", config())
    backend.submit(CELLS)
    (tmp_path / "runs" / "slurm" / "12_1_0_log.err").write_text("module: no such thing\n\n")
    commands.says("squeue", "error: unable to contact the controller", 1)
    assert backend.ended(0) == []
    commands.says("squeue", "12_0|CANCELLED|None\n12_1|FAILED|None\n12_2|RUNNING|node7")
    assert [(one.cell.seed, one.status, one.reason) for one in backend.ended(0)] == [
        (0, "failed", "job 12_0 is CANCELLED: it left no log"),
        (1, "failed", "job 12_1 is FAILED: module: no such thing"),
    ]
    assert [cell.seed for cell in backend.states()] == [2]


@needs_submitit
def test_what_slurm_refuses_is_said_in_its_words(commands: Commands, tmp_path: Path) -> None:
    commands.says("sbatch", "", 1)
    (tmp_path / "bin" / "sbatch").write_text(
        "#!/bin/sh\necho 'sbatch: error: invalid partition specified: nowhere' >&2\nexit 1\n"
    )
    backend = open_backend(tmp_path / "runs", config(slurm_partition="nowhere"))
    with pytest.raises(
        UsageError, match=r"^Slurm refused the jobs: invalid partition specified: nowhere$"
    ):
        backend.submit(CELLS)


def sweep(folder: Path, *words: str) -> tuple[int, str]:
    place = ("--runs", str(folder), "--backend", "slurm")
    result = CliRunner().invoke(app, ["sweep", "--streams", "math", *place, *words])
    return result.exit_code, result.stderr


def test_what_is_missing_is_told_before_anything_is_submitted(
    commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, err = sweep(tmp_path / "runs", "--slurm-time", "2")
    assert (code, err.count("\n")) == (2, 1)
    assert "slurm_time is 2, but must be" in err
    if find_spec("submitit") is not None:
        code, err = sweep(tmp_path / "runs", "--slurm-template", str(tmp_path / "none.sh"))
        assert code == 2
        assert "none.sh, which cannot be read" in err
        monkeypatch.setenv("PATH", "")
        code, err = sweep(tmp_path / "runs")
        assert code == 2
        assert "There is no sbatch on this machine" in err
    monkeypatch.setitem(sys.modules, "submitit", None)
    code, err = sweep(tmp_path / "runs")
    assert code == 2
    assert "pip install 'cl-bench[slurm]'" in err
    assert not commands.given("sbatch")


class Local(slurm.Slurm):
    """Jobs of submitit's local executor."""

    executor = "local"


SMALL = {**SMALLEST, "eval_every": 2}


leaves_its_process = pytest.mark.filterwarnings(
    # submitit's local executor waits for the result and not for the process
    "ignore::pytest.PytestUnraisableExceptionWarning"
)


def words_of(process: psutil.Process) -> str:
    """The command line of a process; empty for one that has just ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@pytest.fixture
def locally(
    commands: Commands,  # noqa: ARG001 - those that have to be there
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[], list[psutil.Process]]]:
    """Slurm is submitit's local executor; returns the processes that are its jobs' calls."""

    def calls() -> list[psutil.Process]:
        below = psutil.Process().children(recursive=True)
        return [one for one in below if "submitit.core._submit" in words_of(one)]

    def queue() -> dict[str, slurm._Known]:
        parents = [one.parent() for one in calls()]
        return {str(one.pid): slurm._Known("RUNNING", "here") for one in parents if one}

    imports = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)
    monkeypatch.setenv("PYTHONPATH", imports)  # which a job of Slurm itself is told
    monkeypatch.setattr("cl_bench.sweep.backends.slurm.Slurm", Local)
    monkeypatch.setattr(slurm, "_squeue", queue)
    monkeypatch.setattr(slurm, "_LATE", 5.0)
    yield calls
    for one in psutil.Process().children(recursive=True):
        if "submitit" in words_of(one):
            one.kill()


class WhenCheckpointed(Quiet):
    """Does something once, as soon as a run has a checkpoint."""

    def __init__(self, run: Path, act: Callable[[], None]) -> None:
        super().__init__()
        self._run, self._act = run, act
        self.acted = False

    def show(self, view: object) -> None:
        if not self.acted and (self._run / "checkpoint" / "current").exists():
            self.acted = True
            self._act()


@needs_submitit
@pytest.mark.slow
@leaves_its_process
def test_a_run_whose_time_is_over_goes_on_in_the_queue(
    tiny_model: Path, tmp_path: Path, locally: Callable[[], list[psutil.Process]]
) -> None:
    # In 20 steps without a reward a run counts as collapsed.
    cells = [Cell("math", "rl", seed, 18, SMALL, model=str(tiny_model)) for seed in (1, 2)]
    broken = Cell("math", "rl", 3, 18, {**SMALL, "items": 0}, model=str(tiny_model))
    runs, before = tmp_path / "runs", []

    def time_is_over() -> None:
        before.extend(locally())
        for call in before:
            call.send_signal(signal.SIGUSR2)

    display = WhenCheckpointed(runs / cells[0].name, time_is_over)
    outcomes = make_missing([*cells, broken], runs, on=config(), display=display)
    assert display.acted
    assert {one.cell.seed: one.status for one in outcomes} == {1: "done", 2: "done", 3: "failed"}
    assert "items is 0" in next(one.reason for one in outcomes if one.cell == broken)
    logs = [path.read_text() for path in runs.glob("slurm/*_log.out")]
    assert sum("Requeued job" in log for log in logs) >= 1
    make_missing(cells, tmp_path / "here", on=BackendConfig(jobs=2), display=Quiet())
    for cell in cells:
        one, other = (Run(folder / cell.name) for folder in (runs, tmp_path / "here"))
        assert differences(one, other) == []


@needs_submitit
@pytest.mark.slow
@leaves_its_process
def test_a_run_that_reaches_its_limit_too_often_fails(
    tiny_model: Path, tmp_path: Path, locally: Callable[[], list[psutil.Process]]
) -> None:
    cell = Cell("math", "rl", 1, 500, SMALL, model=str(tiny_model))

    def time_is_over() -> None:
        for call in locally():
            call.send_signal(signal.SIGUSR2)

    display = WhenCheckpointed(tmp_path / "runs" / cell.name, time_is_over)
    asked = config(slurm_time=3, slurm_timeouts=0)
    (outcome,) = make_missing([cell], tmp_path / "runs", on=asked, display=display)
    assert outcome.status == "failed"
    assert "timed-out too many times" in outcome.reason
    assert Run(tmp_path / "runs" / cell.name).status == "running"


@pytest.mark.parametrize("file", ["skypilot.yaml", "kubernetes.yaml"])
def test_the_command_of_a_shipped_file_is_one(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Cell] = []

    def make(cells: list[Cell], _: Path, **__: Any) -> list[CellOutcome]:
        asked.extend(cells)
        return []

    monkeypatch.setattr("cl_bench.sweep.pool.make_missing", make)
    (command,) = (
        line.partition("cl-bench ")[2]
        for document in yaml.safe_load_all((DOCS / file).read_text(encoding="utf-8"))
        for text in _texts(document)
        for line in text.splitlines()
        if "cl-bench sweep" in line
    )
    result = CliRunner().invoke(app, shlex.split(command))
    assert result.exit_code == 0, result.stderr
    assert len(asked) == 8


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)
