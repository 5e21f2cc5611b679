"""`cl-bench export`: a folder that transformers loads, its card and prompts; what is refused."""

from __future__ import annotations

import io
import json
import re
import shutil
from contextlib import redirect_stdout
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from typer.testing import CliRunner

from cl_bench.analysis.run_values import run_metrics
from cl_bench.cli.app import app
from cl_bench.contract.errors import RunDirectoryError, UsageError
from cl_bench.contract.prompts import SEED_PROMPT
from cl_bench.export.exporting import export
from cl_bench.model.named import resolve
from cl_bench.store.files import file_hash
from cl_bench.store.run_directory import RunDirectory
from cl_bench.store.views import stream_rows


def weights(folder: str | Path) -> torch.Tensor:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder)
    return torch.cat([tensor.flatten() for tensor in model.state_dict().values()])


def test_the_last_model_is_the_same_from_the_stage_and_from_the_checkpoint(
    trained: Path, without_models: Path, tmp_path: Path
) -> None:
    one, other = export(trained, tmp_path / "one"), export(without_models, tmp_path / "other")
    assert one.stage == other.stage == 2
    assert file_hash(one.folder / "model.safetensors") == file_hash(
        other.folder / "model.safetensors"
    )
    assert torch.equal(weights(one.folder), weights(trained / "models" / "stage-2"))
    assert not torch.equal(weights(one.folder), weights(resolve("embedded")))
    names = {path.name for path in one.folder.iterdir()}
    assert names >= {"model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"}
    assert names >= {"README.md", "prompts.json"}


def test_a_learner_of_prompts_has_its_base_as_its_model(
    prompted: Path, tiny_model: Path, tmp_path: Path
) -> None:
    done = export(prompted, tmp_path / "model")
    assert torch.equal(weights(done.folder), weights(tiny_model))
    card = (done.folder / "README.md").read_text()
    assert str(tiny_model.parent) not in card  # a path of this machine is nobody's business
    assert f"trained from `{tiny_model.name}`" in card
    assert "look it up there" in card


def test_the_prompts_are_those_the_learner_was_evaluated_with(
    trained: Path, prompted: Path, tmp_path: Path
) -> None:
    for number, run in enumerate((trained, prompted)):
        done = export(run, tmp_path / str(number))
        held = json.loads((done.folder / "prompts.json").read_text())
        asked = RunDirectory.open(run).table("transcripts")
        asked = asked[(asked["step"] == asked["step"].max()) & (asked["prompt"] == "learner")]
        assert set(asked["system_prompt"]) == {held["prompt"]}
        assert held["prompt"] in [row["text"] for row in held["population"]]
        assert held["lineage"][-1]["text"] == held["prompt"]
        assert held["lineage"][0]["text"] == held["seed_prompt"] == SEED_PROMPT


def test_the_card_says_what_the_tables_say(trained: Path, tmp_path: Path) -> None:
    run = RunDirectory.open(trained)
    card = ModelCard.load(export(trained, tmp_path / "model").folder / "README.md")
    metadata = card.data
    assert (metadata.license, metadata.library_name) == ("apache-2.0", "transformers")
    assert metadata.tags == ["cl-bench", "continual-learning", "fst", "math-to-code"]
    results = metadata.eval_results
    assert results is not None
    found = {(result.dataset_type, result.metric_name): result.metric_value for result in results}
    rows = stream_rows(run.table("evaluations"))
    for row in rows[rows["step"] == 2].to_dict("records"):
        name = f"cl-bench/{row['domain']}"
        assert found[name, f"accuracy, {row['prompt']} prompt"] == row["accuracy"]
        assert found[name, f"kl_policy_base, {row['prompt']} prompt"] == row["kl_policy_base"]
    accuracy = run_metrics(run)["average_accuracy"]
    assert found["cl-bench/math-to-code", "average accuracy"] == accuracy
    for part in ("seed 0", "`fst`", "math → code", run.manifest["config_hash"]):
        assert part in card.text


def test_an_earlier_stage_has_its_own_figures_and_none_of_the_whole_run(
    trained: Path, tmp_path: Path
) -> None:
    done = export(trained, tmp_path / "model", stage=1)
    assert torch.equal(weights(done.folder), weights(trained / "models" / "stage-1"))
    card = ModelCard.load(done.folder / "README.md")
    results = card.data.eval_results or []
    assert {result.dataset_type for result in results} == {"cl-bench/math", "cl-bench/code"}
    assert {(result.dataset_args or {})["after_stage"] for result in results} == {1}
    assert "The stream has 1 more stage." in card.text
    assert "Over the whole stream" not in card.text


def test_the_card_s_example_runs(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = (export(trained, tmp_path / "model").folder / "README.md").read_text()
    found = re.search(r"^```python\n(.*?)^```$", card, flags=re.MULTILINE | re.DOTALL)
    assert found is not None
    problem = RunDirectory.open(trained).table("transcripts")["problem"]
    assert any(json.dumps(text) in found[1] for text in problem)
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    with redirect_stdout(io.StringIO()) as printed:
        exec(compile(found[1], "card", "exec"), {})
    assert printed.getvalue().strip()


def test_an_unfinished_run_exports_the_stages_it_kept(trained: Path, tmp_path: Path) -> None:
    copy = tmp_path / "interrupted"
    shutil.copytree(trained, copy)
    shutil.rmtree(copy / "models" / "stage-2")
    RunDirectory.open(copy).update_manifest(status="diverged")
    with pytest.raises(RunDirectoryError, match=r"is diverged, .* Kept are those of stage 1"):
        export(copy, tmp_path / "last")
    card = (export(copy, tmp_path / "first", stage=1).folder / "README.md").read_text()
    assert "The run ended as diverged." in card
    assert not (tmp_path / "last").exists()


def test_what_cannot_be_exported_is_said_before_anything_is_written(
    trained: Path, without_models: Path, tmp_path: Path
) -> None:
    (tmp_path / "packed.zip").write_bytes(b"")
    (tmp_path / "mine").mkdir()
    out = tmp_path / "out"
    for run, options, hint in (
        (without_models, {"stage": 1}, "kept no model of stage 1. `cl-bench run --keep-stage"),
        (trained, {"stage": 3}, "--stage is 3, but the stages of .* are 1 to 2"),
        (trained, {"stage": 0}, "--stage is 0, but"),
        (trained, {"private": True}, "give --push-to-hub REPO, too"),
        (trained, {"push_to_hub": "a/b/c"}, "'a/b/c' is not the name of a repository"),
        (tmp_path / "packed.zip", {}, "is a packed run, which holds no model"),
    ):
        with pytest.raises(UsageError, match=hint):
            export(run, out, **options)
    with pytest.raises(UsageError, match="mine exists already"):
        export(trained, tmp_path / "mine")
    with pytest.raises(RunDirectoryError, match="There is no run directory"):
        export(tmp_path / "nowhere", out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "packed.zip"]


def test_a_base_that_has_changed_is_refused(
    prompted: Path, tiny_model: Path, tmp_path: Path
) -> None:
    config = tiny_model / "config.json"
    before = config.read_text()
    try:
        config.write_text(before + "\n")
        with pytest.raises(RunDirectoryError, match="is not what it was when the run began"):
            export(prompted, tmp_path / "model")
    finally:
        config.write_text(before)
    assert not any(tmp_path.iterdir())


def test_the_command_line_says_where_everything_is(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "model"
    result = CliRunner().invoke(app, ["export", str(trained), "--out", str(out), "--stage", "1"])
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"The model after stage 1, prompts.json and README.md: {out}\n"
    result = CliRunner().invoke(app, ["export", str(trained), "--out", str(out)])
    assert result.exit_code == 2
    assert "exists already" in result.stderr
