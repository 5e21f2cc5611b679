"""The forecast of a sweep, against values computed by hand; its runs were never made."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cl_bench.api import resolve
from cl_bench.cli.app import app
from cl_bench.contract.errors import RunDirectoryError, UsageError
from cl_bench.execution import machine
from cl_bench.execution.requirements import Work, work_of
from cl_bench.store.files import read_json, write_json_atomically
from cl_bench.store.run_directory import RunDirectory
from cl_bench.sweep import pool
from cl_bench.sweep.backends.backend import BackendConfig, CellOutcome
from cl_bench.sweep.cell import Cell
from cl_bench.sweep.estimate import (
    CHECKPOINT,
    EVALUATE,
    FACTOR,
    LEARNING,
    LOAD,
    ROUNDS,
    Range,
    total,
)
from cl_bench.sweep.forecast import PROCESS, Forecast, command, forecast, makespan
from tests.sweep.manifests import manifest_of

SMALL = {"eval_every": 5, "items": 4, "samples": 2, "probes": False, "retention": "none"}
MB = 10**6


def cell(learner: str = "rl", seed: int = 0, steps: int = 10, **options: Any) -> Cell:
    return Cell("math-to-code", learner, seed, steps, {**SMALL, **options})


def work(of: Cell) -> Work:
    asked = resolve(stream=of.stream, learner=of.learner, steps=of.steps, **of.options)
    return work_of(asked.config, asked.stream)


def made(
    of: Cell, folder: Path, *, status: str = "done", gpu: int | None = None, **took: float
) -> Path:
    """Write the run of a cell that took so many seconds, and return its path."""
    took = {"load": 2.0, "learn": 0.0, "fast": 0.0, "evaluate": 0.0, "checkpoint": 0.0} | took
    peaks = {"machine": 500 * MB, "gpu": gpu}
    manifest = manifest_of(of, folder, status) | {"peak_memory": peaks}
    directory = RunDirectory.create(folder / of.name, manifest)
    spent = dict.fromkeys(_COUNTS, 0)
    ledger = [
        {"step": 20, "channel": channel, **spent, "seconds": seconds}
        for channel, seconds in (("slow", took["learn"] - took["fast"]), ("fast", took["fast"]))
    ]
    timing = [
        {"step": step, "phase": phase, "seconds": took[phase] / 2}
        for phase in ("learn", "evaluate", "checkpoint")
        for step in (10, 20)
    ]
    timing.append({"step": 0, "phase": "load", "seconds": took["load"]})
    directory.commit(0, {"timing": timing, "ledger": ledger})
    return directory.path


_COUNTS = (
    *("rollouts", "prompt_tokens", "generated_tokens", "solution_tokens", "proposals"),
    *("reflection_calls", "reflection_tokens", "reflection_failures", "reflection_repeats"),
    "optimizer_steps",
)


def foretold(cells: Sequence[Cell], folder: Path, jobs: int = 1, **options: Any) -> Forecast:
    return forecast(cells, folder, on=BackendConfig(jobs=jobs), **options)


def middles(found: Forecast, number: int = 0) -> dict[str, float]:
    return {name: one.middle for name, one in found.planned[number].takes.seconds.items()}


def test_a_schedule_gives_each_cell_in_order_to_the_first_free_place() -> None:
    one, two, three, four = cells = [cell(seed=seed) for seed in range(4)]
    seconds = {one: 3.0, two: 1.0, three: 1.0, four: 5.0}
    assert makespan(cells, seconds, 1) == 10
    assert makespan(cells, seconds, 2) == 7  # four begins at 2, when three ends
    assert makespan(cells, seconds, 4) == makespan(cells, seconds, 9) == 5
    assert makespan([four, one, two, three], seconds, 2) == 5
    assert makespan([], {}, 2) == 0


def test_a_cell_is_queued_when_the_one_it_starts_from_has_ended() -> None:
    origin, other = cell(seed=1), cell(seed=2)
    after = replace(cell(seed=3), start=origin)
    seconds = {origin: 2.0, after: 3.0, other: 4.0}
    assert makespan([origin, after, other], seconds, 1) == 9
    assert makespan([origin, after, other], seconds, 2) == 5
    assert makespan([after, other], seconds, 2) == 4  # its start is there already
    # Each of two processes starts once: origin 0-3, other 0-5, after 3-6.
    assert makespan([origin, after, other], seconds, 2, process=1.0) == 6


def test_phases_are_scaled_by_what_they_do(tmp_path: Path) -> None:
    measure = cell(steps=10)
    made(measure, tmp_path, learn=40.0, evaluate=10.0, checkpoint=5.0)
    longer = cell(steps=20, items=8)
    found = foretold([longer], tmp_path / "none", measure=tmp_path)
    # Twice the steps; 9 points for 5, each of twice the items.
    assert middles(found) == pytest.approx(
        {LOAD: 2.0, LEARNING: 80.0, ROUNDS: 0.0, EVALUATE: 10 * 9 / 5 * 2, CHECKPOINT: 9.0}
    )
    assert found.planned[0].takes.doubts == ()
    whole = 2 + 80 + 36 + 9
    assert found.planned[0].takes.total == pytest.approx((whole / FACTOR, whole, whole * FACTOR))
    assert found.process_seconds.middle == pytest.approx(PROCESS + whole)
    assert found.device_hours.middle == pytest.approx((PROCESS + whole) / 3600)


def test_several_measured_runs_give_their_mean_and_their_spread(tmp_path: Path) -> None:
    done = [cell(seed=0), cell(seed=1)]
    for one, seconds in zip(done, (30.0, 50.0), strict=True):
        made(one, tmp_path, learn=seconds, load=2.0)
    found = foretold([*done, cell(seed=2), cell(seed=3)], tmp_path, jobs=2)
    assert (found.finished, len(found.planned), found.resumed) == (2, 2, 0)
    assert found.planned[0].takes.seconds[LEARNING] == pytest.approx((20.0, 40.0, 60.0))
    assert found.planned[0].takes.seconds[LOAD] == pytest.approx((2 / 1.1, 2.0, 2.2))
    assert found.wall_seconds == pytest.approx(
        (28 + 2 / 1.1, 50.0, 70.2)
    )  # side by side, after PROCESS
    assert found.process_seconds.middle == pytest.approx(100.0)


def test_a_learner_without_a_run_is_scaled_from_others_and_less_certain(tmp_path: Path) -> None:
    rl, prompt, fst = cell("rl"), cell("prompt"), cell("fst")
    made(rl, tmp_path, learn=40.0, evaluate=10.0)
    found = foretold([rl, prompt, fst], tmp_path)
    assert [one.takes.doubts for one in found.planned] == [("measured with rl",)] * 2
    # Of rounds nothing is known but what a response of an evaluation takes.
    each = 10.0 / work(rl).evaluated
    assert middles(found)[ROUNDS] == pytest.approx(each * work(prompt).explored)
    assert middles(found)[LEARNING] == 0
    assert middles(found)[EVALUATE] == pytest.approx(each * work(prompt).evaluated)
    assert middles(found, 1)[LEARNING] == pytest.approx(40 * work(fst).learned / work(rl).learned)
    made(prompt, tmp_path, learn=7.0, fast=7.0, evaluate=20.0)
    found = foretold([rl, prompt, fst], tmp_path)
    assert middles(found)[ROUNDS] == pytest.approx(7 * work(fst).explored / work(prompt).explored)


def test_nothing_is_said_about_training_from_a_run_that_trained_nothing(tmp_path: Path) -> None:
    prompt = cell("prompt")
    made(prompt, tmp_path, learn=7.0, fast=7.0, evaluate=20.0)
    with pytest.raises(UsageError, match="No run was measured that trains parameters, as rl does"):
        foretold([prompt, cell("rl")], tmp_path)


def test_of_a_resumed_run_the_rest_is_to_be_made(tmp_path: Path) -> None:
    done, begun = cell(seed=0), cell(seed=1)
    made(done, tmp_path, learn=40.0, load=2.0)
    path = made(begun, tmp_path, status="running")
    found = foretold([done, begun], tmp_path)
    assert (found.resumed, found.planned[0].seconds.middle) == (1, 42.0)  # no checkpoint yet
    (path / "checkpoint" / "000003").mkdir(parents=True)
    (path / "checkpoint" / "current").write_text("000003")
    write_json_atomically(path / "checkpoint" / "000003" / "run.json", {"step": 15})
    assert foretold([done, begun], tmp_path).planned[0].seconds.middle == 2 + 40 * 5 / 20


def test_disk_is_that_of_measured_directories_and_of_checkpoints_twice(tmp_path: Path) -> None:
    done = cell(steps=10, keep_stage_models=True)
    path = made(done, tmp_path)
    for name, size in (("checkpoint/000001/model", 3 * MB), ("models/stage-1/model", MB)):
        (path / name).parent.mkdir(parents=True)
        (path / name).write_bytes(bytes(size))
    rows = sum(file.stat().st_size for file in path.glob("[tc]*s/**/*") if file.is_file())
    rest = sum(file.stat().st_size for file in path.glob("*") if file.is_file())
    longer = [cell(seed=seed, steps=20, keep_stage_models=True) for seed in (1, 2, 3)]
    found = foretold(longer, tmp_path / "none", jobs=2, measure=path)
    assert found.disk == pytest.approx(3 * (rest + rows * 9 / 5 + 3 * MB + 2 * MB), abs=3)
    assert found.disk_peak == found.disk + 2 * 3 * MB
    assert found.memory == 500 * MB


def test_hours_are_those_of_gpus_where_runs_use_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, more = cell(seed=0), [cell(seed=seed) for seed in (1, 2, 3, 4)]
    made(done, tmp_path, learn=3600.0, load=0.0, gpu=9 * MB)
    monkeypatch.setattr(machine, "gpus", lambda: ("0", "1"))
    found = foretold([done, *more], tmp_path, jobs=0, machines=2)
    assert (found.places.jobs, found.places.count, found.places.device) == (2, 4, "GPU")
    assert found.device_hours.middle == pytest.approx(4 * (1 + PROCESS / 3600))
    assert found.wall_seconds.middle == pytest.approx(3600 + PROCESS)
    monkeypatch.setattr(machine, "gpus", lambda: ())
    with pytest.raises(UsageError, match="this machine has none"):
        foretold([done, *more], tmp_path, jobs=0)


def test_runs_that_are_no_measure_are_refused(tmp_path: Path, tiny_model: Path) -> None:
    path = made(cell(seed=0), tmp_path, status="failed")
    with pytest.raises(RunDirectoryError, match="is failed: only a finished run says"):
        foretold([cell()], tmp_path / "none", measure=path)
    with pytest.raises(UsageError, match="where there is no directory of a finished run"):
        foretold([cell()], tmp_path / "none", measure=tmp_path)
    made(cell(seed=1), tmp_path)
    other = replace(cell(), model=str(tiny_model))
    with pytest.raises(UsageError, match="was measured with the model embedded"):
        foretold([other], tmp_path / "none", measure=tmp_path)
    found = foretold([cell(max_new_tokens=99)], tmp_path / "none", measure=tmp_path)
    assert found.planned[0].takes.doubts[0].endswith(", not 99")


def test_a_run_of_settings_that_are_no_more_is_passed_over_beside_others(tmp_path: Path) -> None:
    old = made(cell(seed=0), tmp_path)
    config = RunDirectory.open(old).manifest["config"]
    config["learning"]["removed_since"] = 1
    RunDirectory.open(old).update_manifest(config=config)
    with pytest.raises(RunDirectoryError, match=r"cannot be measured \(TypeError: .*removed_since"):
        foretold([cell()], tmp_path / "none", measure=old)
    new = made(cell(seed=1), tmp_path)
    found = foretold([cell(seed=2)], tmp_path / "none", measure=tmp_path)
    assert [measure.name for measure in found.measures] == [new.name]


def test_without_a_measure_the_command_of_one_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [
        cell(name, reflection_lm="base") if name == "fst" else cell(name) for name in ("rl", "fst")
    ]
    with pytest.raises(UsageError, match="No run of this sweep is finished") as refused:
        foretold(cells, tmp_path)
    told = command(cells[1], tmp_path)  # which says something about both channels
    assert str(refused.value).endswith(told)
    asked: list[Cell] = []

    def make(wanted: Sequence[Cell], *_: object, **__: object) -> list[CellOutcome]:
        asked.extend(wanted)
        return []

    monkeypatch.setattr(pool, "make_missing", make)
    assert CliRunner().invoke(app, shlex.split(told)[1:]).exit_code == 0
    assert asked == [cells[1]]


def test_a_plan_is_printed_and_nothing_is_made(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    made(cell("rl"), runs, learn=40.0, evaluate=10.0)
    (runs / cell("rl").name / "manifest.json").stat()
    before = sorted(runs.rglob("*"))
    words = ["sweep", "--learners", "rl,prompt", "--seeds", "0-1", "--steps", "10", "--plan"]
    words += [
        word for name, value in SMALL.items() for word in ("--set", f"{name}={json.dumps(value)}")
    ]
    words += ["--runs", str(runs), "--machines", "2", "--jobs", "1"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == [
        "runs        1 finished, 0 to resume, 3 to make",
        f"measured    {cell('rl').name}: rl on math-to-code, 52.0 s",
    ]
    assert "* prompt on math-to-code is less certain: measured with rl" in lines
    assert any(line.startswith("wall time ") and "2 machines with 1 run" in line for line in lines)
    data = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert data["places"] == {"machines": 2, "jobs": 1, "gpus": 0}
    assert total([Range(**one["seconds"]) for one in data["runs"]]).middle == pytest.approx(
        data["process_seconds"]["middle"] - 2 * PROCESS
    )
    assert sorted(runs.rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--machines", "2"], "--machines belongs to --plan"),
        (["--json"], "--json belongs to --plan"),
        (["--plan", "--machines", "0"], "machines is 0, but must be at least 1"),
        (
            ["--plan", "--measure", "nowhere"],
            "--measure is nowhere, where there is no directory of a finished run",
        ),
    ],
)
def test_options_of_a_plan_that_cannot_be_are_refused(words: list[str], told: str) -> None:
    done = CliRunner().invoke(app, ["sweep", "--learners", "rl", *words])
    assert (done.exit_code, done.stdout) == (2, "")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_damaged_run_of_a_sweep_is_no_measure(tmp_path: Path) -> None:
    done = [cell(seed=0), cell(seed=1)]
    for one in done:
        made(one, tmp_path, learn=40.0)
    file = tmp_path / done[0].name / "tables" / "timing"
    next(file.iterdir()).unlink()
    assert read_json(tmp_path / done[0].name / "manifest.json")["status"] == "done"
    found = foretold([*done, cell(seed=2)], tmp_path)
    assert [one.name for one in found.measures] == [done[1].name]
