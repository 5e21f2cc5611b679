"""The pool: makes what is missing, reuses what is finished, resumes what was killed, and lets one
run's failure be one run's failure."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from cl_bench.api import Run
from cl_bench.execution import machine
from cl_bench.store.files import file_hash, read_json, write_json_atomically
from cl_bench.sweep.backends import process
from cl_bench.sweep.backends.backend import BackendConfig, CellOutcome, open_backend
from cl_bench.sweep.backends.local import Local
from cl_bench.sweep.cell import Cell, as_json
from cl_bench.sweep.display import Lines, Quiet, SweepView
from cl_bench.sweep.logs import log_of
from cl_bench.sweep.pool import make_missing
from cl_bench.sweep.state import status
from tests.options import SMALLEST
from tests.sweep.manifests import manifest_of

SMALL = {**SMALLEST, "eval_every": 1}


def made(cells: Sequence[Cell], folder: Path, *, jobs: int, **options: Any) -> list[CellOutcome]:
    """What `make_missing` returns with processes of this machine."""
    display = Lines(options.pop("say")) if "say" in options else Quiet()
    return make_missing(cells, folder, on=BackendConfig(jobs=jobs), display=display, **options)


def small(seed: int, model: Path, start: Cell | None = None, **options: Any) -> Cell:
    return Cell("math", "rl", seed, 2, {**SMALL, **options}, start, str(model))


@pytest.mark.slow
def test_runs_are_made_resumed_reused_and_fail_alone(tiny_model: Path, tmp_path: Path) -> None:
    killed = small(1, tiny_model)
    origin = small(2, tiny_model, keep_stage_models=True)
    broken = small(3, tiny_model, items=0)
    cells = [killed, broken, small(2, tiny_model, origin), small(3, tiny_model, broken)]
    _kill_after_the_first_checkpoint(killed, tmp_path)
    assert status(killed, tmp_path) == "running"

    lines: list[str] = []
    outcomes = made(cells, tmp_path, jobs=2, say=lines.append)
    found = {outcome.cell: outcome for outcome in outcomes}
    assert len(found) == len(outcomes) == 5
    assert {cell: one.status for cell, one in found.items()} == {
        killed: "done",
        origin: "done",
        broken: "failed",
        cells[2]: "done",
        cells[3]: "failed",
    }
    assert "items is 0" in found[broken].reason
    assert found[cells[3]].reason == f"{broken.name} left no model"
    assert [line[:5] for line in lines if line[0] == "["] == [f"[{n}/5]" for n in range(1, 6)]
    told = lines[lines.index(f"the end of {log_of(broken, tmp_path)}:") + 1 :]
    assert "UsageError: items is 0" in "".join(told)
    after = Run(tmp_path / cells[2].name).manifest["config"]["model"]
    assert after == str(tmp_path / origin.name / "models" / "stage-1")

    again = made(cells[:1] + cells[2:3], tmp_path, jobs=2, say=lines.append)
    assert again == []
    assert lines[-1] == "3 of 3 runs are finished already"


@pytest.mark.slow
def test_workers_import_what_is_installed_and_not_what_lies_where_the_sweep_was_started(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a clone after `pip install .`, the folder's cl_bench is a part of the package only."""
    decoy = tmp_path / "cl_bench"
    decoy.mkdir()
    (decoy / "__init__.py").write_text("raise RuntimeError('the wrong one')")
    monkeypatch.chdir(tmp_path)
    (outcome,) = made([small(1, tiny_model, items=0)], tmp_path, jobs=1)
    assert "items is 0" in outcome.reason


def _kill_after_the_first_checkpoint(cell: Cell, folder: Path) -> None:
    """Leave the cell's run as a machine does that loses power at step 1 of 2."""
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from cl_bench.store.checkpoint import Checkpoints\n"
        "from cl_bench.sweep.cell import from_json\n"
        "from cl_bench.sweep.worker import make\n"
        "kept = Checkpoints._remove_others\n"
        "def last(self, target):\n"
        "    kept(self, target)\n"
        "    if int(target.name) == 1: os.kill(os.getpid(), signal.SIGKILL)\n"
        "Checkpoints._remove_others = last\n"
        "make(from_json(sys.argv[1]), Path(sys.argv[2]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, as_json(cell), str(folder)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.fixture
def processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Workers that die when they are asked for seed 13, and do every other run at once.

    The run of seed 14 diverges, and there is something to tell about that of seed 15.
    """
    fake = tmp_path / "fake"
    fake.mkdir()
    (fake / "worker.py").write_text(
        "import json, sys\n"
        "for line in sys.stdin:\n"
        "    cell = json.loads(line)\n"
        "    if cell['seed'] == 13: sys.exit(7)\n"
        "    status = 'diverged' if cell['seed'] == 14 else 'done'\n"
        "    note = {'note': 'it was set aside'} if cell['seed'] == 15 else {}\n"
        "    print(json.dumps({'status': status, 'reason': '', **note}), flush=True)\n"
    )
    real = subprocess.Popen

    def started(command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
        assert command[1:4] == ["-P", "-m", "cl_bench.sweep.worker"]
        assert command[5] == str(os.getpid())
        return real([sys.executable, str(fake / "worker.py")], **options)

    monkeypatch.setattr(subprocess, "Popen", started)
    return tmp_path / "runs"


def test_a_worker_that_dies_fails_its_run_only(processes: Path) -> None:
    cells = [Cell("math", "rl", seed, 1) for seed in (12, 13, 14, 15)]
    lines: list[str] = []
    outcomes = made(cells, processes, jobs=1, say=lines.append)
    assert [(one.cell.seed, one.status) for one in outcomes] == [
        (12, "done"),
        (13, "failed"),
        (14, "diverged"),
        (15, "done"),
    ]
    assert outcomes[1].reason == "its process ended with exit code 7"
    assert f"{cells[3].name}: done (it was set aside) after" in lines[3]


def test_a_look_at_all_cells_asks_the_backend_once(
    processes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer has every cell: asked for each, it would cost the square of their number."""
    states, asked, looks = Local.states, [0], []

    def counted(self: Local) -> Any:
        asked[0] += 1
        return states(self)

    class Looking(Quiet):
        def show(self, view: SweepView) -> None:
            before = asked[0]
            view.rows()
            looks.append(asked[0] - before)

    monkeypatch.setattr(Local, "states", counted)
    cells = [Cell("math", "rl", seed, 1) for seed in (1, 2, 3)]
    make_missing(cells, processes, on=BackendConfig(jobs=1), display=Looking())
    assert {*looks} == {1}


def test_known_and_finished_runs_are_not_made(processes: Path) -> None:
    cells = [Cell("math", "rl", seed, 1) for seed in (1, 2, 3)]
    recorded(cells[0], processes, "diverged")
    recorded(cells[1], processes, "failed")
    lines: list[str] = []
    known = {cells[2].name: "done"}
    outcomes = made(cells, processes, jobs=3, say=lines.append, known=known)
    assert [outcome.cell for outcome in outcomes] == [cells[1]]
    assert lines[0] == "1 of 2 runs are finished already"


@pytest.mark.parametrize(
    "changes",
    [
        {"model_files": {}},
        {"model_files": {"model.safetensors": "0"}},
        {"stream": {"name": "math", "version": "0"}},
        {"config": {"learner": "rl"}},
    ],
)
def test_a_finished_run_of_something_else_is_not_taken(
    processes: Path, changes: dict[str, Any]
) -> None:
    origin, other = Cell("math", "rl", 1, 1), Cell("math", "rl", 2, 1)
    after = Cell("code", "rl", 1, 1, start=origin)
    for cell in (origin, other):
        recorded(cell, processes, "done")
    (processes / after.name).mkdir()  # its start's model is gone, so that it is not compared
    write_json_atomically(processes / after.name / "manifest.json", {"status": "done"})
    assert made([after, other], processes, jobs=1) == []
    file = processes / origin.name / "manifest.json"
    write_json_atomically(file, read_json(file) | changes)
    outcomes = made([after, other], processes, jobs=1)
    assert [outcome.cell for outcome in outcomes] == [origin, after]


def test_a_finished_run_older_than_a_setting_is_taken(processes: Path) -> None:
    """It did what the setting's default says; and it has the precision that auto stands for."""
    cell = Cell("math", "rl", 1, 1)
    recorded(cell, processes, "done")
    file = processes / cell.name / "manifest.json"
    manifest = read_json(file)
    for name in ("thinking", "chat_template", "sampler"):
        del manifest["config"][name]
    manifest["config"]["precision"] = "float32"
    write_json_atomically(file, manifest)
    assert made([cell], processes, jobs=1) == []


@pytest.mark.slow
def test_runs_of_changed_weights_are_set_aside_and_made_anew(
    tiny_model: Path, tmp_path: Path
) -> None:
    model, runs = shutil.copytree(tiny_model, tmp_path / "model"), tmp_path / "runs"
    origin = small(1, model, keep_stage_models=True)
    cells = [origin, small(1, model, origin)]
    made(cells, runs, jobs=1)
    weights = load_file(model / "model.safetensors")
    changed = {name: 1.5 * weight for name, weight in weights.items()}
    save_file(changed, model / "model.safetensors", metadata={"format": "pt"})
    outcomes = made(cells, runs, jobs=1)
    assert [outcome.note for outcome in outcomes] == [
        f"its model changed since the run that was there: it is now {cell.name}.stale-1"
        for cell in cells
    ]
    files = read_json(runs / origin.name / "manifest.json")["model_files"]
    assert files["model.safetensors"] == file_hash(model / "model.safetensors")
    assert made(cells, runs, jobs=1) == []


def test_an_interrupt_ends_the_workers(processes: Path) -> None:
    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(
            [Cell("math", "rl", 1, 1)],
            processes,
            jobs=1,
            say=interrupted,
        )


def test_what_starts_from_a_diverged_run_is_settled_and_not_tried(processes: Path) -> None:
    origin = Cell("math", "rl", 14, 1)
    after = Cell("facts", "rl", 14, 1, start=origin)
    last = Cell("code", "rl", 14, 1, start=after)
    outcomes = made([last], processes, jobs=1)
    assert [one.status for one in outcomes] == ["diverged", "no start", "no start"]
    assert outcomes[1].reason == f"it starts from {origin.name}, which diverged"
    assert outcomes[2].reason == f"it starts from {after.name}, which has no start itself"

    recorded(origin, processes, "diverged")
    lines: list[str] = []
    assert made([last], processes, jobs=1, say=lines.append) == []
    assert lines == [
        "1 of 3 runs are finished already",
        "2 of 3 runs cannot be made: those they start from diverged",
    ]
    elsewhere = processes.with_name("elsewhere")
    known = {origin.name: "diverged"}
    assert made([after], elsewhere, jobs=1, known=known) == []


def recorded(cell: Cell, folder: Path, state: str) -> None:
    """Write a run's directory with its manifest and nothing else."""
    (folder / cell.name).mkdir(parents=True)
    write_json_atomically(folder / cell.name / "manifest.json", manifest_of(cell, folder, state))


def test_each_process_sees_one_gpu(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "json.dumps({'status': 'failed', 'reason': os.environ['CUDA_VISIBLE_DEVICES']})"
    code = (
        f"import json, os, sys, time\nfor _ in sys.stdin: print({said}, flush=True); time.sleep(1)"
    )
    monkeypatch.setattr(process, "_WORKER", (sys.executable, "-c", code))
    monkeypatch.setattr(machine, "gpus", lambda: ("3", "GPU-5f"))
    cells = [small(seed, tiny_model) for seed in range(4)]
    outcomes = made(cells, tmp_path, jobs=2)
    assert sorted(outcome.reason for outcome in outcomes) in (
        [reason for reason in ("3", "GPU-5f") for _ in range(2)],
        ["3", "3", "3", "GPU-5f"],
        ["3", "GPU-5f", "GPU-5f", "GPU-5f"],
    )


@pytest.mark.parametrize(
    ("size", "jobs", "expected"),
    [
        (2, 0, ["0,1", "2,3"]),
        (2, 3, ["0,1", "2,3", "0,1"]),
        (0, 2, ["", ""]),
        (1, 0, ["0", "1", "2", "3", "4"]),
    ],
)
def test_runs_share_the_gpus_in_groups(
    size: int, jobs: int, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = "json.dumps({'status': 'done', 'reason': os.environ['CUDA_VISIBLE_DEVICES']})"
    code = f"import json, os, sys\nfor _ in sys.stdin: print({seen}, flush=True)"
    monkeypatch.setattr(process, "_WORKER", (sys.executable, "-c", code))
    monkeypatch.setattr(machine, "gpus", lambda: tuple("01234"))
    backend = open_backend(tmp_path, BackendConfig(jobs=jobs, gpus_per_run=size))
    cells = [Cell("math", "rl", seed, 1) for seed in range(len(expected) + 1)]
    backend.submit(cells)
    assert [state.running for state in backend.states().values()] == [True] * len(expected) + [
        False
    ]
    outcomes: list[CellOutcome] = []
    while len(outcomes) < len(cells):
        outcomes += backend.ended(60.0)
    backend.close()
    found = {outcome.cell: outcome.reason for outcome in outcomes}
    assert [found[cell] for cell in cells[:-1]] == expected


def test_gpus_are_those_that_the_environment_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert machine.gpus() == ("0", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4, 6")
    assert machine.gpus() == ("4", "6")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert machine.gpus() == ()
