"""`cl-bench sweep`: what it asks for, makes, says and exits with."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cl_bench.api import Run
from cl_bench.cli.app import app
from cl_bench.execution import machine
from cl_bench.metrics.stats.ranks import seeds_to_rank
from cl_bench.sweep import pool
from cl_bench.sweep.backends.backend import CellOutcome
from cl_bench.sweep.cell import Cell

ROOT = Path(__file__).parents[2]
SMALL = ("problems_per_step=2", "group_size=2", "items=2", "samples=1", "retention_items=0")


def call(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["sweep", *arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Cell]:
    """The cells that a sweep asks for; none is made, and those of seed 13 fail."""
    cells: list[Cell] = []

    def make(wanted: Sequence[Cell], _: Path, **__: Any) -> list[CellOutcome]:
        cells.extend(wanted)
        return [
            CellOutcome(cell, "failed", "no luck", 0.0)
            if cell.seed == 13
            else CellOutcome(cell, "done", "", 0.0)
            for cell in wanted
        ]

    monkeypatch.setattr(pool, "make_missing", make)
    return cells


def test_names_ranges_and_values_become_cells(asked: list[Cell]) -> None:
    words = ("--streams", "math, code", "--learners", "fst", "--seeds", "0-2,2,7", "--steps", "3")
    sets = ("--set", "learning-rate=3e-4", "--set", "feedback=none", "--set", "refill=false")
    assert call(*words, *sets, "--runs", "there")[0] == 0
    options = {"learning_rate": 3e-4, "feedback": "none", "refill": False}
    assert asked == [
        Cell(stream, "fst", seed, 3, options)
        for seed in (0, 1, 2, 7)
        for stream in ("math", "code")
    ]


def test_a_sweep_that_names_no_seeds_has_six_which_rank_its_learners(asked: list[Cell]) -> None:
    assert call("--steps", "3")[0] == 0
    seeds = {cell.seed for cell in asked}
    assert seeds == set(range(6))
    assert len(seeds) >= seeds_to_rank(len({cell.learner for cell in asked}))


def test_an_option_is_for_the_learners_that_have_it(asked: list[Cell]) -> None:
    words = ("--streams", "math", "--learners", "rl,fst", "--seeds", "0", "--steps", "3")
    assert call(*words, "--set", "population=2", "--set", "items=4")[0] == 0
    assert [dict(cell.options) for cell in asked] == [
        {"items": 4},
        {"population": 2, "items": 4},
    ]
    code, _, err = call(*words, "--set", "replay_share=0.1")
    assert code == 2
    assert "replay_share is not a setting of rl or fst, but of rl-replay" in err


def test_failed_runs_are_told_and_the_exit_code_is_1(asked: list[Cell]) -> None:
    code, out, err = call("--streams", "math", "--learners", "rl,fst", "--seeds", "12-13")
    assert code == 1
    assert out == "2 of 4 runs are finished in results/sweep.\n"
    assert f"2 runs failed, first {asked[2].name}: no luck." in err


@pytest.mark.parametrize("given", ["", "2-0", "1,,2", "a", "-1", "0-", "0-100000000", "1.5"])
def test_seeds_that_are_none_are_refused(given: str) -> None:
    code, out, err = call(f"--seeds={given}")
    assert (code, out) == (2, "")
    assert err.startswith("cl-bench: --seeds is ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("given", ["items", "=3", ""])
def test_an_option_without_name_or_value_is_refused(given: str) -> None:
    code, _, err = call("--set", given)
    assert code == 2
    assert "must be NAME=VALUE" in err


@pytest.mark.slow
def test_a_sweep_makes_runs_that_are_used_again(tiny_model: Path, tmp_path: Path) -> None:
    words = ["--streams", "math", "--learners", "rl,prompt", "--seeds", "5", "--steps", "1"]
    words += ["--model", str(tiny_model), "--runs", str(tmp_path), "--set", "setting=easy"]
    words += [word for one in (*SMALL, "max_new_tokens=6", "threads=1") for word in ("--set", one)]
    code, out, err = call(*words)
    assert code == 0, err
    assert out.startswith(f"2 of 2 runs are finished in {tmp_path}.\nSee them side by side: ")
    runs = [Run(path) for path in sorted(tmp_path.glob("math-*"))]
    assert [(run.status, run.manifest["config"]["seed"]) for run in runs] == [("done", 5)] * 2
    assert {run.manifest["config"]["learner"] for run in runs} == {"rl", "prompt"}
    assert "2 of 2 runs are finished already" in call(*words)[2]


def test_a_dry_run_says_of_each_run_what_would_be_done_and_does_nothing(tmp_path: Path) -> None:
    words = ("--streams", "math", "--learners", "rl", "--seeds", "0-1", "--steps", "2")
    place = ("--runs", str(tmp_path / "runs"))
    code, out, _ = call(*words, *place, "--dry-run")
    lines = out.splitlines()
    assert code == 0
    assert [line.split("  ")[1] for line in lines] == ["would be made"] * 2
    assert not (tmp_path / "runs").exists()
    unfinished = tmp_path / "runs" / lines[0].split("  ")[0]
    unfinished.mkdir(parents=True)
    (unfinished / "manifest.json").write_text('{"status": "interrupted"}')
    assert (
        call(*words, *place, "--dry-run")[1]
        .splitlines()[0]
        .endswith("  would be resumed (interrupted)")
    )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--backend", "clouds"), "Unknown backend 'clouds'. Known: local, ray"),
        (("--backend", "ray"), "`pip install 'cl-bench[ray]'`"),
        (("--gpus-per-run", "3"), "gpus_per_run is 3, but this machine has 2 GPUs"),
        (("--jobs", "-1"), "jobs is -1, but must be at least 0"),
        (
            ("--slurm-time", "60"),
            "slurm_time belongs to the backend slurm, but runs are made by local",
        ),
        (("--ray-address", "auto"), "ray_address belongs to the backend ray"),
    ],
)
def test_a_backend_that_can_make_no_run_is_told_before_one_begins(
    options: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # as where it is not installed
    monkeypatch.setattr(machine, "gpus", lambda: ("0", "1"))
    words = ("--streams", "math", "--learners", "rl", "--runs", str(tmp_path))
    code, out, err = call(*words, *options)
    assert (code, out) == (2, "")
    assert told in err
    assert list(tmp_path.iterdir()) == []


def test_options_of_a_stream_and_of_evaluation_are_those_of_every_run(tmp_path: Path) -> None:
    options = ("--rollouts", "64", "--retention", "none", "--setting", "easy", "--no-probes")
    found = call("--learners", "rl", "--runs", str(tmp_path), "--dry-run", *options)
    sets = ("rollouts=64", "retention=none", "setting=easy", "probes=false")
    same = [word for one in sets for word in ("--set", one)]
    assert found == call("--learners", "rl", "--runs", str(tmp_path), "--dry-run", *same)
    assert found[0] == 0
    assert found != call("--learners", "rl", "--runs", str(tmp_path), "--dry-run")


def test_a_dry_run_checks_where_runs_would_be_made() -> None:
    code, _, said = call("--dry-run", "--jobs", "-1")
    assert code == 2
    assert "jobs is -1, but must be at least 0" in said
