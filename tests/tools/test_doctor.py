"""`cl-bench doctor`: what it finds, what stops a run, and its exit code."""

from __future__ import annotations

import json
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from cl_bench import api
from cl_bench.cli.app import app
from cl_bench.tools import doctor
from cl_bench.tools.doctor import Diagnosis, examine


class Usage(NamedTuple):
    """What `shutil.disk_usage` returns."""

    total: int
    used: int
    free: int


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def whats(report: Diagnosis) -> str:
    return "\n".join(problem.what for problem in report.problems)


def test_a_sound_installation_can_work_and_nothing_is_left_behind(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["doctor"])
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["torch", version("torch")] in lines
    assert ["parameters", "903,168"] in lines
    assert ["generates", "yes"] in lines
    assert result.stdout.endswith("The default run (cl-bench run) can work.\n")
    assert list(tmp_path.iterdir()) == []


def test_json_holds_the_same_facts() -> None:
    result = CliRunner().invoke(app, ["doctor", "--json"])
    data = json.loads(result.stdout)
    assert (data["works"], result.exit_code) == (True, 0)
    assert data["facts"]["versions"]["transformers"] == version("transformers")
    assert data["facts"]["machine"]["cores usable"] >= 1


def test_a_package_outside_the_range_that_cl_bench_requires_is_a_problem_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = {"trl": "1.15.0", "gepa": None}
    monkeypatch.setattr(doctor, "_installed", lambda name: old.get(name, version("numpy")))
    monkeypatch.setattr(
        doctor, "requires", lambda _: ["trl<2,>=1.16", "gepa<0.2,>=0.1.4", "numpy>=2.0"]
    )
    report = examine()
    assert "trl is 1.15.0, but cl-bench needs <2,>=1.16" in whats(report)
    assert "gepa is missing, but cl-bench needs <0.2,>=0.1.4" in whats(report)
    assert "numpy" not in whats(report)
    assert "pip install 'trl<2,>=1.16'" in report.text()
    assert not report.works


def test_a_problem_makes_the_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(10, 10, 1_000))
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert "problem: 1.0 kB of disk are free" in result.stdout
    assert "cannot work until" in result.stdout


def test_a_file_in_the_place_of_the_results_folder_is_a_problem() -> None:
    Path("results").write_text("")
    assert "is not a folder that you may write to" in whats(examine())


def test_a_damaged_embedded_model_is_a_problem_and_no_exception(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "config.json").write_text("{")
    monkeypatch.setattr("cl_bench.model.named.EMBEDDED_FOLDER", tmp_path)
    report = examine()
    assert "embedded model: ModelError" in whats(report)
    assert not report.works


def test_more_threads_than_cores_is_a_note_that_stops_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: 10_000)
    report = examine()
    assert "torch would use 10000 threads" in whats(report)
    assert "export OMP_NUM_THREADS=" in report.text()
    assert report.works


def test_the_trial_times_two_real_steps(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small: dict[str, Any] = {
        "problems_per_step": 2,
        "group_size": 2,
        "proposals": 1,
        "max_new_tokens": 6,
    }
    monkeypatch.setattr("cl_bench.api.run", partial(api.run, model=str(tiny_model), **small))
    facts = examine(trial=True).facts["the default run"]
    assert 0 < facts["seconds of RL per step"] <= facts["seconds of both steps"]
    assert list(tmp_path.iterdir()) == []


def test_a_run_asked_about_is_estimated_and_timed(tiny_model: Path, tmp_path: Path) -> None:
    options = ["--model", str(tiny_model), "--learner", "rl", "--stream", "math"]
    options += ["--rollouts", "12", "--setting", "easy", "--retention", "none"]
    small = ["--max-new-tokens", "4", "--problems-per-step", "2", "--group-size", "2"]
    result = CliRunner().invoke(app, ["doctor", "--json", *options, *small])
    data = json.loads(result.stdout)
    found = data["facts"]["the run asked for"]
    assert (data["works"], found["learner and model"]) == (True, f"rl, {tiny_model}")
    assert {"weights", "gradients", "while learning", "in all", "together"} <= found.keys()
    assert found["steps"].startswith("3 × ")
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_does_not_fit_is_not_tried(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "cl_bench.execution.machine.free_memory", lambda: 2 * doctor.MEMORY_NEEDED // 3
    )
    result = CliRunner().invoke(app, ["doctor", "--model", str(tiny_model), "--learner", "rl"])
    assert result.exit_code == 1
    assert "problem: the run needs about " in result.stdout
    assert "it would fit with " in result.stdout
    assert "together" not in result.stdout
    assert result.stdout.endswith(
        "The run asked for cannot work until the problems above are mended.\n"
    )


@pytest.mark.parametrize(
    ("option", "said"),
    [("--learner", "Unknown learner 'nope'"), ("--stream", "nope"), ("--preset", "nope")],
)
def test_an_option_that_names_nothing_is_refused(option: str, said: str) -> None:
    result = CliRunner().invoke(app, ["doctor", option, "nope"])
    assert result.exit_code == 2
    assert said in result.output


def test_a_model_that_is_not_there_is_a_problem() -> None:
    result = CliRunner().invoke(app, ["doctor", "--model", "./nope"])
    assert result.exit_code == 1
    assert "problem: There is no model folder './nope'" in result.stdout
