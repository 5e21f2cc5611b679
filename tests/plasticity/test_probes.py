"""Probes: equal budgets, one base for all, ratios by hand, and one command from end to end."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

import cl_bench
from cl_bench.cli import app
from cl_bench.files import read_json, write_json_atomically
from cl_bench.metrics.undefined import Undefined
from cl_bench.plasticity.origins import Origin
from cl_bench.plasticity.probes import Probe, final_accuracy, probe_plasticity, rows
from cl_bench.plasticity.table import Internals
from cl_bench.results import RunDirectory
from cl_bench.run_config import RunConfig
from cl_bench.sweep.cell import Cell
from cl_bench.sweep.pool import Outcome
from cl_bench.views import stream_rows

CONFIG = RunConfig(model="base", seed=5)
A = Origin(Path("a"), "rl", "math", CONFIG, ("math", "code"), {1: Path("a/1"), 2: Path("a/2")})
B = replace(A, path=Path("b"), learner="fst", models={1: Path("b/1")})


def test_all_probes_of_equal_runs_share_their_base_budget_and_settings() -> None:
    probe = Probe("facts", 20, ())
    cells = [*probe.cells(A), *probe.cells(B)]
    assert [cell.model for cell in cells] == ["base", "a/1", "a/2", "base", "b/1"]
    assert len({cell.name for cell in cells}) == 4
    assert {(c.stream, c.learner, c.seed, c.steps) for c in cells} == {("facts", "rl", 5, 20)}
    assert len({str(cell.options) for cell in cells}) == 1
    assert [cell.seed for cell in Probe("facts", 20, (8, 9)).cells(B)] == [8, 8, 9, 9]


def test_a_run_with_other_settings_of_rl_has_a_base_of_its_own() -> None:
    probe = Probe("facts", 20, ())
    other = replace(A.config, learning=replace(A.config.learning, learning_rate=1e-3))
    (first, *_), (second, *_) = (probe.cells(origin) for origin in (A, replace(A, config=other)))
    assert first.name != second.name
    assert (first.options["learning_rate"], second.options["learning_rate"]) == (6e-4, 1e-3)


def reached(probe: Probe, **accuracy_S: list[float | Undefined]) -> dict[str, float | Undefined]:
    """By probe the accuracies, given by model and one for each seed."""
    models = {"base": None, "first": A.models[1], "second": A.models[2]}
    return {
        probe.cell(A, models[name], seed).name: value
        for name, values in accuracy_S.items()
        for seed, value in zip(probe.seeds_of(A), values, strict=True)
    }


def test_the_ratio_is_of_means_over_seeds_and_a_missing_one_leaves_it_undefined() -> None:
    probe = Probe("code", 20, (0, 1))
    diverged = Undefined("the probe x diverged")
    found = reached(probe, base=[0.5, 0.75], first=[0.25, 0.5], second=[0.6, diverged])
    none = Internals(0.0, 1.0, 0.0)
    diagnosed: dict[Path | None, Internals] = {None: none, **dict.fromkeys(A.models.values(), none)}
    first, second = rows(probe, A, found, diagnosed)
    assert (first.accuracy, first.base_accuracy, first.ratio) == (0.375, 0.625, 0.6)
    assert (second.accuracy, second.base_accuracy, second.ratio) == (diverged, 0.625, diverged)
    assert [row.trained_before for row in (first, second)] == [False, True]
    (zero, _) = rows(probe, A, reached(probe, base=[0, 0], first=[0, 1], second=[0, 0]), diagnosed)
    assert zero.ratio == Undefined("the probe from the base model reaches 0")


def row(step: int, at: str, accuracy: float, **other: str) -> dict[str, object]:
    """A row of `evaluations`."""
    numbers = ("kl_policy_base", "kl_base_policy", "entropy", "completion_tokens", "temperature")
    sums = ("kl_policy_base_sequence", "kl_base_policy_sequence")
    counts = ("n_items", "n_samples", "kl_policy_base_tokens", "kl_base_policy_tokens")
    return {
        "step": step,
        "stage": min(step, 1),
        "at": at,
        "accuracy": accuracy,
        "domain": "facts",
        "setting": "default",
        "prompt": "learner",
        "test_set": "stream",
        "weights": "trained",
        **dict.fromkeys((*numbers, *sums), 0.5),
        **dict.fromkeys((*counts, "samples_slow", "rollouts"), 1),
        **other,
    }


def test_the_final_accuracy_is_the_trained_policy_s_on_the_stream_s_problems(
    tmp_path: Path,
) -> None:
    cell = Probe("facts", 2, ()).cell(A, None, 5)
    assert final_accuracy(cell, tmp_path, {}) == Undefined(f"the probe {cell.name} is missing")
    directory = RunDirectory.create(tmp_path / cell.name, {"status": "done"})
    directory.commit(
        0,
        {
            "evaluations": [
                row(0, "start", 0.1),
                row(1, "inside", 0.2),
                row(2, "stage-end", 0.3),
                row(2, "stage-end", 0.4, prompt="seed"),
                row(2, "stage-end", 0.5, weights="base"),
                row(2, "stage-end", 0.6, test_set="harder", prompt="seed"),
            ]
        },
    )
    assert final_accuracy(cell, tmp_path, {}) == 0.3
    directory.update_manifest(status="diverged")
    assert final_accuracy(cell, tmp_path, {}) == Undefined(f"the probe {cell.name} diverged")
    failed = {cell.name: "ModelError: gone"}
    assert final_accuracy(cell, tmp_path, failed) == Undefined(
        f"the probe {cell.name} failed: ModelError: gone"
    )


def call(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["plasticity", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_the_command_probes_every_model_once_and_writes_its_table(
    keeping: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = [str(keeping), "--probe", "facts", "--steps", "1", "--jobs", "1", "--out", str(out)]
    code, text, progress = call(*words)
    assert code == 0, progress
    assert "[3/3] facts-rl-0-" in progress
    made = {run.manifest["model"]: run for run in map(cl_bench.Run, (out / "runs").iterdir())}
    base = read_json(keeping / "manifest.json")["model"]
    stages = [str(keeping.resolve() / "models" / f"stage-{n}") for n in (1, 2)]
    assert made.keys() == {base, *stages}
    lines = list(csv.DictReader((out / "facts.csv").read_text(encoding="utf-8").splitlines()))
    for stage, line in zip(stages, lines, strict=True):
        for model, column in ((stage, "accuracy"), (base, "base_accuracy")):
            rows = stream_rows(made[model].table("evaluations"))
            last = rows[(rows["step"] == 1) & (rows["prompt"] == "learner")]
            assert float(line[column]) == last["accuracy"].item()
        assert float(line["diagnostic_weight_distance"]) > 0
    assert (out / "facts.txt").read_text(encoding="utf-8").strip() in text

    before = {path: path.read_bytes() for path in out.glob("facts.*")}
    code, again, progress = call(*words)
    assert (code, again) == (0, text)
    assert "3 of 3 runs are finished already" in progress
    assert {path: path.read_bytes() for path in out.glob("facts.*")} == before
    _other_models_are_refused(words, made[stages[0]].path / "manifest.json")


def _other_models_are_refused(words: list[str], manifest: Path) -> None:
    """A probe that is there must be of the model that lies where its name says."""
    changed = {"model_files": {"model.safetensors": "0"}}
    write_json_atomically(manifest, read_json(manifest) | changed)
    code, _, error = call(*words)
    assert code == 2
    assert "whose files have changed since" in " ".join(error.split())


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--probe", "math-to-code"], "Unknown domain 'math-to-code'"),
        (["--probe", "facts", "--seeds", "-1"], "seeds is -1, but must be at least 0"),
        (["nowhere", "--probe", "facts"], "There is no run directory nowhere"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    keeping: Path, tmp_path: Path, arguments: list[str], hint: str
) -> None:
    code, out, error = call(str(keeping), *arguments, "--out", str(tmp_path / "out"))
    assert (code, out) == (2, "")
    assert hint in " ".join(error.split())
    assert not (tmp_path / "out").exists()


def test_a_probe_that_fails_is_told_and_the_others_count(
    keeping: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(cells: Sequence[Cell], folder: Path, **_: object) -> list[Outcome]:
        for place, cell in enumerate(cells[:-1]):
            directory = RunDirectory.create(folder / cell.name, {"status": "done"})
            last = row(1, "stage-end", (place + 1) / 4)
            directory.commit(0, {"evaluations": [last]})
        return [Outcome(cells[-1], "failed", "OSError: no room", 1.0)]

    monkeypatch.setattr("cl_bench.plasticity.probes.make_missing", make)
    found = probe_plasticity([keeping], "facts", out=tmp_path, jobs=1, say=print, steps=1)
    assert [row.ratio for row in found.rows[:1]] == [2.0]
    assert isinstance(found.rows[1].ratio, Undefined)
    assert "failed: OSError: no room" in " ".join(found.text().split())
    assert call(str(keeping), "--probe", "facts", "--out", str(tmp_path / "other"))[0] == 1
