"""Whole small runs of every learner: tables, resume, status, bad input."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import cl_bench
from cl_bench.analysis import differences
from cl_bench.api import resume
from cl_bench.contract.errors import (
    DivergedError,
    LockedError,
    ModelError,
    OtherSoftwareError,
    RunDirectoryError,
    UsageError,
)
from cl_bench.contract.learner import Batch
from cl_bench.contract.prompts import SEED_PROMPT
from cl_bench.contract.records import StepRecord
from cl_bench.contract.text import config_hash
from cl_bench.execution.progress import Quiet
from cl_bench.slow.slow_only import SlowOnly
from cl_bench.store.run_directory import RunDirectory
from cl_bench.store.views import stream_rows
from tests.options import fitting

SMALL: dict[str, Any] = {
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
}
LEARNERS = ("rl", "prompt", "fst")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, cl_bench.Run]:
    """One small finished run of each learner."""
    folder = tmp_path_factory.mktemp("runs")
    return {name: cl_bench.run(out=folder / name, **fitting(name, SMALL)) for name in LEARNERS}


class StopAt(Quiet):
    """Interrupts a run at a step, as Ctrl-C would."""

    def __init__(self, step: int) -> None:
        self._step = step

    def step(self, step: int, stage: int, record: object) -> None:
        if step == self._step:
            raise KeyboardInterrupt


def comparable(run: cl_bench.Run, table: str) -> pd.DataFrame:
    frame = run.table(table)
    return frame.drop(columns=[column for column in frame if column == "seconds"])


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_run_evaluates_at_the_start_inside_and_at_the_end_of_every_stage(
    runs: dict[str, cl_bench.Run], learner: str
) -> None:
    run = runs[learner]
    assert run.status == "done"
    frame = run.table("evaluations")
    points = frame[["step", "stage", "at"]].drop_duplicates().values.tolist()
    assert points == [
        [0, 0, "start"],
        [2, 1, "inside"],
        [4, 1, "stage-end"],
        [6, 2, "inside"],
        [8, 2, "stage-end"],
    ]
    sizes = frame.groupby(["test_set", "weights", "prompt", "step"]).size()
    for prompt in ("seed", "learner"):
        assert sizes["stream", "trained", prompt].to_dict() == dict.fromkeys((0, 2, 4, 6, 8), 2)
        assert sizes["stream", "base", prompt].to_dict() == {0: 2, 4: 2, 8: 2}
    assert sizes["harder", "trained", "seed"].to_dict() == {0: 2, 4: 2, 8: 2}
    assert sizes["retention", "trained", "stated"].to_dict() == {0: 3, 4: 3, 8: 3}
    assert sizes.sum() == 5 * 4 + 3 * (4 + 2 + 3)
    assert len(run.table("items")) == (5 * 4 + 3 * (4 + 2)) * 3 * 2 + 3 * 3 * 2
    assert run.table("steps")["step"].tolist() == list(range(1, 9))


@pytest.mark.parametrize("learner", LEARNERS)
def test_transcripts_line_up_over_the_start_and_the_stages_ends(
    runs: dict[str, cl_bench.Run], learner: str
) -> None:
    run = runs[learner]
    told = run.table("transcripts")
    places = told[["step", "stage", "at"]].drop_duplicates().values.tolist()
    assert places == [[0, 0, "start"], [4, 1, "stage-end"], [8, 2, "stage-end"]]
    key = ["domain", "test_set", "setting", "prompt", "weights", "uid", "sample"]
    start, *ends = (rows[[*key, "problem"]].values.tolist() for _, rows in told.groupby("step"))
    assert [ends[0], ends[1]] == [start, start]
    assert len(start) == 2 * 2 * 3
    items = told.merge(run.table("items"), on=["step", *key], how="left", validate="1:1")
    assert items["score_x"].equals(items["score_y"])
    lineage = run.table("prompts")["text"]
    assert set(told["system_prompt"]) <= {SEED_PROMPT, *lineage}


def test_transcripts_change_no_number_of_a_run(tiny_model: Path, tmp_path: Path) -> None:
    options = {**SMALL, "model": str(tiny_model), "max_new_tokens": 6, "retention_items": 0}
    with_them, without = (
        cl_bench.run(learner="fst", out=tmp_path / str(count), transcripts=count, **options)
        for count in (3, 0)
    )
    assert without.table("transcripts").empty
    for table in differences.TABLES[:-1]:
        pd.testing.assert_frame_equal(comparable(with_them, table), comparable(without, table))


@pytest.mark.parametrize("learner", LEARNERS)
def test_the_same_seed_gives_the_same_tables(
    runs: dict[str, cl_bench.Run], tmp_path: Path, learner: str
) -> None:
    again = cl_bench.run(out=tmp_path / "again", **fitting(learner, SMALL))
    for table in differences.TABLES:
        pd.testing.assert_frame_equal(comparable(again, table), comparable(runs[learner], table))


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_resumed_run_ends_with_the_tables_of_an_uninterrupted_one(
    runs: dict[str, cl_bench.Run], tmp_path: Path, learner: str
) -> None:
    out = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        cl_bench.run(out=out, progress=StopAt(5), **fitting(learner, SMALL))
    assert cl_bench.Run(out).status == "running"
    resumed = resume(out)
    assert resumed.status == "done"
    for table in differences.TABLES:
        pd.testing.assert_frame_equal(comparable(resumed, table), comparable(runs[learner], table))


def test_a_resumed_run_replays_the_past_exercises_of_an_uninterrupted_one(
    tiny_model: Path, tmp_path: Path
) -> None:
    options = fitting("rl-replay", SMALL) | {"model": str(tiny_model), "replay_share": 0.5}
    options |= {"stream": "math", "steps": 6, "retention_items": 0, "max_new_tokens": 6}
    whole = cl_bench.run(out=tmp_path / "whole", **options)
    with pytest.raises(KeyboardInterrupt):
        cl_bench.run(out=tmp_path / "stopped", progress=StopAt(5), **options)
    resumed = resume(tmp_path / "stopped")
    for table in differences.TABLES:
        pd.testing.assert_frame_equal(comparable(resumed, table), comparable(whole, table))


def test_learners_meet_the_same_base_model_and_test_items(runs: dict[str, cl_bench.Run]) -> None:
    starts = []
    for run in runs.values():
        frame = run.table("items")
        starts.append(frame[frame["step"] == 0].reset_index(drop=True))
    pd.testing.assert_frame_equal(starts[0], starts[1])
    pd.testing.assert_frame_equal(starts[0], starts[2])


def test_a_round_reads_no_exercise_of_a_stage_that_has_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[set[int]] = []
    prompt_only: Any = import_module("cl_bench.baselines.prompt_only").PromptOnly
    learn = prompt_only.learn

    def spied(self: Any, batches: Sequence[Batch], ahead: Sequence[Batch] = ()) -> Any:
        steps = {int(item.key.partition(".")[0]) for batch in (*batches, *ahead) for item in batch}
        handed.append(steps)
        return learn(self, batches, ahead)

    monkeypatch.setattr(prompt_only, "learn", spied)
    # A round before steps 1 and 4 looks two steps ahead, and the stage ends with step 4.
    options = fitting("prompt", SMALL) | {"round_exercises": 9}
    cl_bench.run(out=tmp_path / "run", **options)
    assert handed == [{1, 2, 3, 4}, {3, 4}, {5, 6, 7, 8}, {7, 8}]


def test_the_ledger_counts_each_channel(runs: dict[str, cl_bench.Run]) -> None:
    last = {name: run.table("ledger").groupby("channel").last() for name, run in runs.items()}
    per_step = SMALL["problems_per_step"] * SMALL["group_size"]
    for name in ("rl", "fst"):
        assert last[name].loc["slow", "rollouts"] == 8 * per_step
        assert last[name].loc["slow", "optimizer_steps"] == 8
    assert last["rl"].loc["fast", "rollouts"] == 0
    assert last["prompt"].loc["slow", "rollouts"] == 0
    for name in ("prompt", "fst"):
        assert last[name].loc["fast", "rollouts"] > 0
        assert last[name].loc["fast", "reflection_calls"] > 0


def test_prompt_only_never_moves_the_weights(runs: dict[str, cl_bench.Run]) -> None:
    assert (runs["prompt"].table("evaluations")["kl_policy_base"] == 0.0).all()
    rl = runs["rl"].table("evaluations").query("step > 0")
    assert (rl.query("weights == 'trained'")["kl_policy_base"] > 0.0).all()
    assert (rl.query("weights == 'base'")["kl_policy_base"] == 0.0).all()


def test_rl_only_is_evaluated_under_the_seed_prompt_alone(runs: dict[str, cl_bench.Run]) -> None:
    frame = stream_rows(runs["rl"].table("evaluations")).drop(columns="prompt")
    assert len(frame.drop_duplicates()) == len(frame) / 2
    assert runs["rl"].table("prompts").empty


def test_a_run_leaves_figures_a_summary_and_its_provenance(runs: dict[str, cl_bench.Run]) -> None:
    run = runs["fst"]
    assert len(list((run.path / "figures").glob("*.png"))) >= 3
    assert "average_accuracy" in (run.path / "summary.txt").read_text()
    manifest = run.manifest
    assert manifest["config"]["learning"]["group_size"] == 4
    assert "torch" in manifest["provenance"]["packages"]
    assert "model.safetensors" in manifest["model_files"]


def test_a_directory_is_never_overwritten(runs: dict[str, cl_bench.Run]) -> None:
    with pytest.raises(RunDirectoryError, match="--resume"):
        cl_bench.run(out=runs["rl"].path, **fitting("rl", SMALL))
    with pytest.raises(RunDirectoryError, match="done"):
        resume(runs["rl"].path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learner": "fts"}, "Did you mean 'fst'"),
        ({"eval_evry": 3}, "Did you mean 'eval_every'"),
        ({"eval_every": 0}, "at least 1"),
        ({"from_dict": 1}, "Unknown setting"),
        ({"temperature": 0.0}, "at least 0.01"),
        ({"feedback": "all"}, "answer, full, none, step"),
    ],
)
def test_bad_options_are_refused_before_anything_is_written(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        cl_bench.run(out=tmp_path / "none", **options)
    assert not (tmp_path / "none").exists()


def test_a_model_that_cannot_be_loaded_leaves_no_directory(
    tiny_model: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "model"
    shutil.copytree(tiny_model, broken)
    (broken / "model.safetensors").write_bytes(b"not a model")
    with pytest.raises(ModelError, match="are damaged"):
        cl_bench.run(model=str(broken), out=tmp_path / "run", **fitting("rl", SMALL))
    assert not (tmp_path / "run").exists()


class FailAt(Quiet):
    """Breaks a run at a step with an error."""

    def __init__(self, step: int, error: Exception) -> None:
        self._step, self._error = step, error
        self.stopped = False

    def step(self, step: int, stage: int, record: object) -> None:
        if step == self._step:
            raise self._error

    def stop(self) -> None:
        self.stopped = True


@pytest.mark.parametrize(
    ("error", "status"),
    [(RuntimeError("out of memory"), "failed"), (DivergedError("loss is nan"), "diverged")],
)
def test_an_ended_run_says_how_in_its_manifest_and_keeps_its_rows(
    tiny_model: Path, tmp_path: Path, error: Exception, status: str
) -> None:
    progress = FailAt(3, error)
    out = tmp_path / "run"
    with pytest.raises(type(error)):
        cl_bench.run(model=str(tiny_model), out=out, progress=progress, **fitting("rl", SMALL))
    run = cl_bench.Run(out)
    assert (run.status, progress.stopped) == (status, True)
    assert str(error) in run.manifest["reason"]
    assert run.table("steps")["step"].max() == (3 if status == "diverged" else 2)
    assert resume(out).table("steps")["step"].tolist() == list(range(1, 9))


@pytest.mark.parametrize("learner", ["rl", "fst"])
def test_a_learning_rate_that_breaks_the_weights_is_a_divergence_with_its_step(
    tmp_path: Path, learner: str
) -> None:
    options = fitting(learner, SMALL) | {"eval_every": 1, "steps": 8}
    options |= {"group_size": 8, "learning_rate": 1e12}
    with pytest.raises(DivergedError, match=r"Step \d+ diverged: "):
        cl_bench.run(out=tmp_path / "run", **options)
    run = cl_bench.Run(tmp_path / "run")
    assert run.status == "diverged"
    assert "diverged" in run.manifest["reason"]
    assert len(run.table("steps")) > 0


def interrupted(out: Path, step: int, **options: Any) -> RunDirectory:
    with pytest.raises(KeyboardInterrupt):
        cl_bench.run(out=out, progress=StopAt(step), **fitting("rl", SMALL | options))
    return RunDirectory.open(out)


def test_a_resume_refuses_edited_rows_before_it_learns_and_changes_no_status(
    tiny_model: Path, tmp_path: Path
) -> None:
    directory = interrupted(tmp_path / "run", 5, model=str(tiny_model))
    directory.update_manifest(status="failed", reason="as it was")
    file = directory.path / "tables" / "steps" / "000001.parquet"
    whole = file.read_bytes()
    file.write_bytes(whole + b" ")
    with pytest.raises(RunDirectoryError, match=f"{file}: it was cut short or edited"):
        resume(directory.path)
    assert (directory.manifest["status"], directory.manifest["reason"]) == ("failed", "as it was")
    file.write_bytes(whole)
    (directory.path / "commits" / "000001.json").unlink()
    with pytest.raises(RunDirectoryError, match=r"commits/000001\.json"):
        resume(directory.path)


@pytest.mark.parametrize("name", ["source_hash", "python", "cl_bench"])
def test_a_resume_under_other_code_is_refused(tiny_model: Path, tmp_path: Path, name: str) -> None:
    directory = interrupted(tmp_path / "run", 2, model=str(tiny_model))
    began = directory.manifest["provenance"]
    directory.update_manifest(provenance={**began, name: "another"})
    with pytest.raises(OtherSoftwareError, match=r"began with other versions: .* another "):
        resume(directory.path)


def test_a_resume_under_code_with_other_settings_is_refused(
    tiny_model: Path, tmp_path: Path
) -> None:
    directory = interrupted(tmp_path / "run", 2, model=str(tiny_model))
    began, config = directory.manifest["provenance"], directory.manifest["config"]
    config["learning"]["of_once"] = 1
    provenance = {**began, "source_hash": "another"}
    edited = config_hash({"stream": directory.manifest["stream"], "config": config})
    directory.update_manifest(provenance=provenance, config=config, config_hash=edited)
    with pytest.raises(OtherSoftwareError, match="began with other versions"):
        resume(directory.path)


@pytest.mark.parametrize(("times", "how"), [(0, "fewer"), (2, "more")])
def test_a_learner_that_gives_no_record_for_each_batch_is_stopped(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int, how: str
) -> None:
    learn = SlowOnly.learn

    def miscounting(self: SlowOnly, batches: Any, ahead: Any = ()) -> Iterator[StepRecord]:
        for record in learn(self, batches, ahead):
            yield from [record] * times

    monkeypatch.setattr(SlowOnly, "learn", miscounting)
    with pytest.raises(UsageError, match=f"the learner rl gave {how} records than it was given"):
        cl_bench.run(model=str(tiny_model), out=tmp_path / "run", **fitting("rl", SMALL))


def test_a_resume_sweeps_what_killed_processes_left(tiny_model: Path, tmp_path: Path) -> None:
    directory = interrupted(tmp_path / "run", 5, model=str(tiny_model))
    (directory.path / "figures").mkdir()
    left = [
        directory.path / ".manifest.json.99.tmp",
        directory.path / "figures" / ".accuracy.png.99.tmp",
        directory.path / "checkpoint" / ".current.99.tmp",
        directory.path / "checkpoint" / "000099.unfinished",
    ]
    for path in left:
        path.mkdir() if path.suffix == ".unfinished" else path.write_text("half")
    resume(directory.path)
    assert [path for path in left if path.exists()] == []


def test_a_run_on_a_folder_s_model_can_be_resumed_from_elsewhere(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_model, tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    directory = interrupted(tmp_path / "run", 2, model="model")
    monkeypatch.chdir("/")
    assert resume(directory.path).status == "done"


def test_a_second_process_cannot_resume_what_another_one_writes(
    tiny_model: Path, tmp_path: Path
) -> None:
    directory = interrupted(tmp_path / "run", 2, model=str(tiny_model))
    with (
        RunDirectory.open(directory.path).locked(),
        pytest.raises(LockedError, match="is being written by another process"),
    ):
        resume(directory.path)


def test_a_resume_with_another_model_in_the_folder_is_refused(
    tiny_model: Path, tmp_path: Path
) -> None:
    model, out = tmp_path / "model", tmp_path / "run"
    shutil.copytree(tiny_model, model)
    with pytest.raises(KeyboardInterrupt):
        cl_bench.run(model=str(model), out=out, progress=StopAt(3), **fitting("rl", SMALL))
    config = model / "generation_config.json"
    config.write_text(config.read_text() + " ")
    with pytest.raises(RunDirectoryError, match="has changed"):
        resume(out)
