"""A run of several ranks is the run of one process: its tables, its checkpoints, its errors."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
from pandas.api.types import is_float_dtype

import cl_bench
from cl_bench.api import Run, resume
from cl_bench.store.schema import TABLES

CLOSE = 1e-5
"""How far numbers may differ, absolutely or relatively: sums of float32 in another order."""
SMALL: dict[str, Any] = {
    "stream": "math",
    "steps": 2,
    "eval_every": 1,
    "problems_per_step": 3,
    "group_size": 4,
    "items": 5,
    "samples": 2,
    "retention_items": 0,
    "probes": False,
    "max_new_tokens": 24,
    "setting": "easy",
    "threads": 1,
    "device": "cpu",
}
CASES: Mapping[str, tuple[dict[str, Any], bool]] = {
    "prompts and parameters": ({"learner": "fst", "stream": "math-to-code"}, False),
    "prompts and parameters, layers shared out": ({"learner": "fst", "retention_items": 3}, True),
    "a penalty, two epochs": ({"learner": "rl-kl", "epochs_per_batch": 2}, False),
    "two epochs, layers shared out": ({"learner": "rl", "epochs_per_batch": 2}, True),
    "solutions": ({"learner": "sft", "keep_stage_models": True}, False),
    "an adapter and a teacher, layers shared out": (
        {"learner": "fst-distill", "peft": "lora"},
        True,
    ),
}


def launched(count: int, *command: str, shared: bool = False) -> subprocess.Popen[str]:
    """Start a command as so many ranks; with `shared`, as `accelerate launch` does for FSDP."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    return subprocess.Popen(
        [sys.executable, *launcher, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ
        | {"OMP_NUM_THREADS": "1"}
        | ({"ACCELERATE_USE_FSDP": "true"} if shared else {}),
    )


def program(folder: Path, text: str) -> str:
    file = folder / "program.py"
    file.write_text(text)
    return str(file)


def run_as_ranks(count: int, out: Path, options: Mapping[str, Any], *, shared: bool) -> Run:
    call = f"import cl_bench\ncl_bench.run(out={str(out)!r}, **{dict(options)!r})\n"
    process = launched(count, program(out.parent, call), shared=shared)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return Run(out)


def require_equal(found: Run, expected: Run) -> None:
    """Fail unless all tables are equal but for times: numbers up to `CLOSE`, all else exactly."""
    for name in TABLES.keys() - {"timing"}:
        one, two = (
            run.table(name).drop(columns="seconds", errors="ignore") for run in (found, expected)
        )
        assert len(one) == len(two), name
        for column in one.columns:
            if is_float_dtype(one[column]):
                np.testing.assert_allclose(one[column], two[column], rtol=CLOSE, atol=CLOSE)
            else:
                pd.testing.assert_series_equal(one[column], two[column])


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_two_ranks_make_the_tables_of_one_process(case: str, tmp_path: Path) -> None:
    own, shared = CASES[case]
    expected = cl_bench.run(out=tmp_path / "one", **SMALL | own)
    found = run_as_ranks(2, tmp_path / "two", SMALL | own, shared=shared)
    assert (expected.manifest["ranks"], found.manifest["ranks"]) == (1, 2)
    assert expected.table("evaluations")["kl_policy_base"].max() > 0  # something was learned
    require_equal(found, expected)
    if own.get("keep_stage_models"):
        files = {run.path / "models" / "stage-1" / "model.safetensors" for run in (found, expected)}
        assert all(file.is_file() for file in files)


@pytest.mark.slow
@pytest.mark.parametrize("shared", [False, True], ids=["whole", "layers shared out"])
def test_a_killed_rank_ends_the_run_and_one_process_or_three_ranks_go_on(
    shared: bool, tmp_path: Path
) -> None:
    options = SMALL | {"learner": "rl", "steps": 6}
    expected = cl_bench.run(out=tmp_path / "whole", **options)
    path = tmp_path / "run"
    asked = [
        f"--{name.replace('_', '-')}={value}" for name, value in options.items() if name != "probes"
    ]
    process = launched(
        2, "-m", "cl_bench", "run", "--no-probes", *asked, f"--out={path}", shared=shared
    )
    while not (path / "commits" / "000001.json").exists():  # the first step's checkpoint comes next
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    (victim,) = [
        child
        for child in psutil.Process(process.pid).children(recursive=True)
        if child.environ().get("RANK") == "1"
    ]
    victim.send_signal(signal.SIGKILL)
    output, _ = process.communicate()
    assert process.returncode != 0
    told = [line for line in output.splitlines() if line.startswith("cl-bench: ")]
    assert len(told) == 1, output
    assert f"Go on with: cl-bench run --resume {path}" in told[0]
    assert Run(path).status == "running"
    if shared:
        call = f"from cl_bench.api import resume\nresume({str(path)!r})\n"
        again = launched(3, program(tmp_path, call), shared=True)
        output, _ = again.communicate()
        assert again.returncode == 0, output
    else:
        resume(path)
    assert Run(path).status == "done"
    require_equal(Run(path), expected)


def test_an_error_of_all_ranks_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "something").touch()
    command = ("-m", "cl_bench", "run", "--device=cpu", f"--out={tmp_path / 'run'}")
    process = launched(2, *command)
    output, _ = process.communicate()
    assert process.returncode != 0
    assert len(re.findall("already exists and nothing in it is overwritten", output)) == 1
    process = launched(2, "-m", "cl_bench", "run", "--learner=nobody")
    output, _ = process.communicate()
    assert len(re.findall("There is no learner 'nobody'|nobody", output)) >= 1
    assert len([line for line in output.splitlines() if line.startswith("cl-bench: ")]) == 1


_COMMAND = """
import os, sys, time
from cl_bench.cli.app import main
rank = os.environ["RANK"]
{prepared}
sys.argv = ["cl-bench", "run", "--device=cpu", f"--learner={{learner}}", "--out={out}"]
main()
"""


def told_by(count: int, folder: Path, prepared: str) -> list[str]:
    """What cl-bench says of a run that fails on so many ranks; `prepared` sets the `learner`."""
    text = _COMMAND.format(prepared=prepared, out=folder / "run")
    output, _ = launched(count, program(folder, text)).communicate()
    return [line for line in output.splitlines() if line.startswith("cl-bench: ")]


def test_an_error_that_rank_0_comes_to_last_is_told_once(tmp_path: Path) -> None:
    late = "learner = 'nobody'\nif rank == '0': time.sleep(2)"
    (line,) = told_by(2, tmp_path, late)
    assert "Unknown learner 'nobody'" in line


def test_an_error_of_another_rank_alone_is_told(tmp_path: Path) -> None:
    told = told_by(2, tmp_path, "learner = 'rl' if rank == '0' else 'nobody'")
    assert len([line for line in told if "Unknown learner 'nobody'" in line]) == 1


def begun(count: int, path: Path) -> subprocess.Popen[str]:
    """Start a run that takes minutes as ranks, and return once it has begun."""
    fast = ("--items=2", "--samples=1", "--retention=none", "--no-probes", "--device=cpu")
    process = launched(
        count, "-m", "cl_bench", "run", "--learner=rl", "--stream=math", *fast, f"--out={path}"
    )
    while not (path / "commits" / "000000.json").exists():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    return process


@pytest.mark.parametrize("victim", ["0", "1"])
def test_a_rank_that_is_killed_leaves_one_line_on_how_to_go_on(victim: str, tmp_path: Path) -> None:
    path = tmp_path / "run"
    process = begun(3, path)
    for child in psutil.Process(process.pid).children(recursive=True):
        if child.environ().get("RANK") == victim:
            child.send_signal(signal.SIGKILL)
    output, _ = process.communicate()
    told = [line for line in output.splitlines() if line.startswith("cl-bench: ")]
    assert len(told) == 1, output
    assert f"cl-bench run --resume {path}" in told[0]


@pytest.mark.slow
def test_ranks_end_with_a_launcher_that_is_killed(tmp_path: Path) -> None:
    process = begun(2, tmp_path / "run")
    ranks = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    output, _ = process.communicate()  # which is closed when the ranks are gone
    assert not any(rank.is_running() and rank.status() != "zombie" for rank in ranks)
    told = [line for line in output.splitlines() if line.startswith("cl-bench: ")]
    assert len(told) == 1, output
    assert "Go on with: cl-bench run --resume" in told[0]


def test_an_engine_with_shared_layers_is_refused_by_all_and_told_once(tmp_path: Path) -> None:
    asked = ("--sampler=vllm", "--device=cpu", f"--out={tmp_path / 'run'}")
    process = launched(2, "-m", "cl_bench", "run", *asked, shared=True)
    output, _ = process.communicate()
    told = [line for line in output.splitlines() if line.startswith("cl-bench: ")]
    assert len(told) == 1, output
    assert "--sampler vllm does not go with layers that are shared out" in told[0]
    assert not (tmp_path / "run").exists()
