"""Probes: equal budgets, one base for all, ratios by hand, and one command from end to end."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import cl_bench
from cl_bench.cli.app import app
from cl_bench.contract.errors import UsageError
from cl_bench.execution.presets import names, preset_of
from cl_bench.execution.settings import RunConfig, configure
from cl_bench.metrics.stats.student import ONE_SEED, Estimate
from cl_bench.metrics.undefined import Undefined
from cl_bench.model.named import MODELS, resolve
from cl_bench.plasticity.origins import Origin
from cl_bench.plasticity.probe import Probe, departures, options_of
from cl_bench.plasticity.probes import final_accuracy, probe_plasticity, rows
from cl_bench.plasticity.table import Internals
from cl_bench.slow.settings import RLConfig
from cl_bench.store.files import read_json, write_json_atomically
from cl_bench.store.run_directory import RunDirectory
from cl_bench.store.views import stream_rows
from cl_bench.sweep.backends.backend import BackendConfig, CellOutcome
from cl_bench.sweep.cell import Cell
from cl_bench.sweep.display import Quiet
from tests.tables import row


def model_of(preset: str) -> str:
    """A model that a preset belongs to."""
    return preset_of(None, preset).model or "embedded"


CONFIG = RunConfig(learner="rl", model="base", seed=5)
OPTIONS = options_of(CONFIG)
A = Origin(Path("a"), "rl", "math", CONFIG, ("math", "code"), {1: Path("a/1"), 2: Path("a/2")})
B = replace(A, path=Path("b"), learner="fst", models={1: Path("b/1")})


def test_all_probes_of_equal_runs_share_their_base_budget_and_settings() -> None:
    probe = Probe("facts", 20, (), OPTIONS)
    cells = [*probe.cells(A), *probe.cells(B)]
    assert [cell.model for cell in cells] == ["base", "a/1", "a/2", "base", "b/1"]
    assert len({cell.name for cell in cells}) == 4
    assert {(c.stream, c.learner, c.seed, c.steps) for c in cells} == {("facts", "rl", 5, 20)}
    assert len({str(cell.options) for cell in cells}) == 1
    assert [cell.seed for cell in Probe("facts", 20, (8, 9), OPTIONS).cells(B)] == [8, 8, 9, 9]


def test_a_run_with_other_settings_of_rl_is_probed_with_the_same_and_that_is_told() -> None:
    learning = RLConfig(seed=5, learning_rate=1e-3, problems_per_step=16)
    other = replace(B, config=replace(CONFIG, learning=learning))
    probe = Probe("facts", 20, (), OPTIONS)
    assert probe.samples == 20 * 8 * 8
    assert {str(cell.options) for cell in probe.cells(other)} == {str(probe.cells(A)[0].options)}
    assert probe.cells(other)[0] == probe.cells(A)[0]
    (told,) = departures(probe, [A, other])
    assert told.startswith("b learned with learning_rate 0.001 (the probes: 0.0006), problems_per_")
    assert told.endswith("step 16 (the probes: 8)")


def test_a_probe_asks_its_model_as_the_run_did() -> None:
    asked: dict[str, Any] = {
        "precision": "pure-bf16",
        "thinking": "off",
        "chat_template": {"effort": "low"},
    }
    other = replace(A, config=replace(CONFIG, **asked))
    assert options_of(other.config) == OPTIONS | asked
    assert options_of(replace(CONFIG, precision="float32", device="cpu")) == {
        **OPTIONS,
        "device": "cpu",
    }
    (told,) = departures(Probe("facts", 20, (), OPTIONS), [other])
    assert "precision pure-bf16 (the probes: none), thinking off (the probes: none)" in told


OTHER_RL: dict[str, Any] = {
    "seed_prompt": "think .",
    "warmup_steps": 3,
    "max_grad_norm": 0.5,
    "epochs_per_batch": 2,
    "loss_average": "exercise",
    "kl_beta": 0.01,
}


def test_a_probe_learns_with_all_settings_of_rl_of_the_run() -> None:
    usual = RunConfig(learner="rl", seed=5)
    other = replace(usual, learning=RLConfig(seed=5, **OTHER_RL))
    told = options_of(other)
    assert told == options_of(usual) | OTHER_RL
    origin = replace(A, config=other)
    assert not list(departures(Probe("facts", 20, (), told), [origin]))
    (line,) = departures(Probe("facts", 20, (), options_of(usual)), [origin])
    assert "kl_beta 0.01 (the probes: 0.0)" in line
    assert all(f"{name} " in line for name in OTHER_RL)


def test_a_run_that_a_server_sampled_for_is_told_to_be_probed_without() -> None:
    served = replace(A, config=replace(CONFIG, sampler="vllm:http://localhost:8000"))
    (told,) = departures(Probe("facts", 20, (), options_of(served.config)), [served])
    assert told.endswith("sampler vllm:http://localhost:8000 (the probes: transformers)")


@pytest.mark.parametrize("model", [*MODELS, *map(model_of, names())])
def test_what_probes_are_not_told_is_the_same_from_a_base_and_from_a_model_s_folder(
    model: str, tmp_path: Path
) -> None:
    """A preset belongs to the base by its name; the folder of a trained model has another one."""
    own = configure(learner="rl", model=model)
    options = options_of(own)
    folder = tmp_path / "stage-1"
    if model == "embedded":
        folder = Path(resolve(model))
    probes = [configure(learner="rl", model=m, **options) for m in (model, str(folder))]
    assert probes[0].learning == probes[1].learning == own.learning


def test_settings_can_be_given() -> None:
    options = options_of(CONFIG, 1e-4, 16)
    assert options == OPTIONS | {"learning_rate": 1e-4, "problems_per_step": 16}
    assert Probe("facts", 20, (), options).samples == 20 * 16 * 8
    with pytest.raises(UsageError, match="learning_rate is -1"):
        options_of(CONFIG, -1)


def reached(probe: Probe, **accuracy_S: list[float | Undefined]) -> dict[str, float | Undefined]:
    """By probe the accuracies, given by model and one for each seed."""
    models = {"base": None, "first": A.models[1], "second": A.models[2]}
    return {
        probe.cell(A, models[name], seed).name: value
        for name, values in accuracy_S.items()
        for seed, value in zip(probe.seeds_of(A), values, strict=True)
    }


def test_the_ratio_is_of_means_over_seeds_and_a_missing_one_leaves_it_undefined() -> None:
    probe = Probe("code", 20, (0, 1), OPTIONS)
    diverged = Undefined("the probe x diverged")
    found = reached(probe, base=[0.5, 0.75], first=[0.25, 0.5], second=[0.6, diverged])
    none = Internals(0.0, 1.0, 0.0)
    diagnosed: dict[Path | None, Internals] = {None: none, **dict.fromkeys(A.models.values(), none)}
    first, second = rows(probe, A, found, diagnosed)
    means = [estimate(value) for value in (first.accuracy, first.base_accuracy, first.ratio)]
    assert [mean.value for mean in means] == [0.375, 0.625, 0.6]
    # Two values are half their distance from their mean, which is its error; the ratios without
    # one seed are 0.5 / 0.75 and 0.25 / 0.5. t of one degree of freedom is 12.7062.
    reach = [mean.interval.high - mean.value for mean in means]  # type: ignore[union-attr]
    assert reach == pytest.approx([12.7062 / 8, 12.7062 / 8, 12.7062 / 12], abs=1e-4)
    assert (second.accuracy, second.ratio) == (diverged, diverged)
    assert estimate(second.base_accuracy).value == 0.625
    assert [row.trained_before for row in (first, second)] == [False, True]
    (zero, _) = rows(probe, A, reached(probe, base=[0, 0], first=[0, 1], second=[0, 0]), diagnosed)
    assert zero.ratio == Undefined("the probe from the base model reaches 0")
    some = reached(probe, base=[0, 1], first=[0, 1], second=[0, 0])
    ratio = estimate(rows(probe, A, some, diagnosed)[0].ratio)
    reason = Undefined(
        "without one of the seeds there is no value: the probe from the base model reaches 0"
    )
    assert (ratio.value, ratio.interval) == (1, reason)


def test_one_seed_shows_no_interval() -> None:
    probe = Probe("code", 20, (0,), OPTIONS)
    none = Internals(0.0, 1.0, 0.0)
    diagnosed: dict[Path | None, Internals] = {None: none, **dict.fromkeys(A.models.values(), none)}
    (row, _) = rows(probe, A, reached(probe, base=[0.5], first=[0.4], second=[0.4]), diagnosed)
    assert [(estimate(v).value, estimate(v).interval) for v in (row.accuracy, row.ratio)] == [
        (0.4, ONE_SEED),
        (0.8, ONE_SEED),
    ]


def estimate(value: Estimate | Undefined) -> Estimate:
    assert isinstance(value, Estimate)
    return value


def evaluated(step: int, at: str, accuracy: float, **other: str) -> dict[str, object]:
    about = {"domain": "facts", "setting": "default", "prompt": "learner", **other}
    return row("evaluations", step=step, stage=min(step, 1), at=at, accuracy=accuracy, **about)


def test_the_final_accuracy_is_the_trained_policy_s_on_the_stream_s_problems(
    tmp_path: Path,
) -> None:
    cell = Probe("facts", 2, (), OPTIONS).cell(A, None, 5)
    assert final_accuracy(cell, tmp_path, {}) == Undefined(f"the probe {cell.name} is missing")
    directory = RunDirectory.create(tmp_path / cell.name, {"status": "done"})
    directory.commit(
        0,
        {
            "evaluations": [
                evaluated(0, "start", 0.1),
                evaluated(1, "inside", 0.2),
                evaluated(2, "stage-end", 0.3),
                evaluated(2, "stage-end", 0.4, prompt="seed"),
                evaluated(2, "stage-end", 0.5, weights="base"),
                evaluated(2, "stage-end", 0.6, test_set="harder", prompt="seed"),
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
    words += ["--problems-per-step", "1"]
    code, text, progress = call(*words)
    assert code == 0, progress
    assert "[3/3] facts-rl-0-" in progress
    assert "learned with problems_per_step 2 (the probes: 1); all probes learn alike" in progress
    assert "Every probe: 8 samples, 1 problems × 8 a step, learning rate 0.0006" in text
    made = {run.manifest["model"]: run for run in map(cl_bench.Run, (out / "runs").glob("facts-*"))}
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
    probe = made[stages[0]].path
    changed = {"model_files": {"model.safetensors": "0"}}
    write_json_atomically(probe / "manifest.json", read_json(probe / "manifest.json") | changed)
    code, again, progress = call(*words)
    assert (code, again) == (0, text)
    assert "2 of 3 runs are finished already" in progress
    assert f"its model changed since the run that was there: it is now {probe.name}.stale-1" in (
        progress
    )


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--probe", "math-to-code"], "Unknown domain 'math-to-code'"),
        (["--probe", "facts", "--seeds", "-1"], "--seeds is '-1', but must be"),
        (["--probe", "facts", "--learning-rate", "0"], "learning_rate is 0"),
        (["--probe", "facts", "--problems-per-step", "0"], "problems_per_step is 0"),
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
    def make(cells: Sequence[Cell], folder: Path, **_: object) -> list[CellOutcome]:
        for place, cell in enumerate(cells[:-1]):
            directory = RunDirectory.create(folder / cell.name, {"status": "done"})
            last = evaluated(1, "stage-end", (place + 1) / 4)
            directory.commit(0, {"evaluations": [last]})
        return [CellOutcome(cells[-1], "failed", "OSError: no room", 1.0)]

    monkeypatch.setattr("cl_bench.plasticity.probes.make_missing", make)
    found = probe_plasticity(
        [keeping], "facts", out=tmp_path, on=BackendConfig(), display=Quiet(), steps=1
    )
    assert estimate(found.rows[0].ratio).value == 2.0
    assert isinstance(found.rows[1].ratio, Undefined)
    assert "failed: OSError: no room" in " ".join(found.text().split())
    assert call(str(keeping), "--probe", "facts", "--out", str(tmp_path / "other"))[0] == 1
