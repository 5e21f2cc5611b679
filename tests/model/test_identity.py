"""A model is its files, wherever they lie: in a folder, or in a hub cache of two commits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

import cl_bench
from cl_bench.analysis.comparability import key_of
from cl_bench.api import resume
from cl_bench.contract.errors import ModelError, RunDirectoryError
from cl_bench.contract.records import StepRecord
from cl_bench.execution.progress import Quiet
from cl_bench.model.identity import ModelFiles
from cl_bench.model.loading import locate
from cl_bench.store.files import file_hash, read_json, write_json_atomically

NAME, OLD, NEW = "acme/tiny", "a" * 40, "b" * 40
SHORT: dict[str, Any] = {
    "stream": "math",
    "steps": 2,
    "eval_every": 1,
    "problems_per_step": 2,
    "group_size": 2,
    "items": 2,
    "samples": 1,
    "retention_items": 0,
    "probes": False,
    "max_new_tokens": 4,
}


def double_weights(folder: Path) -> None:
    file = folder / "model.safetensors"
    weights = {name: 2 * weight for name, weight in load_file(file).items()}
    file.unlink()  # in a cache it is a link
    save_file(weights, file, metadata={"format": "pt"})


@pytest.fixture
def hub(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder of one model with two commits; `refs/main` names the old one."""
    home = tmp_path / "hub" / "models--acme--tiny"
    (home / "blobs").mkdir(parents=True)
    for commit in (OLD, NEW):
        snapshot = home / "snapshots" / commit
        shutil.copytree(tiny_model, snapshot)
        if commit == NEW:
            double_weights(snapshot)
        for file in snapshot.iterdir():
            blob = home / "blobs" / file_hash(file)
            file.rename(blob)
            file.symlink_to(blob)
    (home / "refs").mkdir()
    point(home, OLD)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home.parent))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return home


class KillAtTheLastStep(Quiet):
    def step(self, step: int, stage: int, record: StepRecord) -> None:
        if step == SHORT["steps"]:
            raise KeyboardInterrupt


def point(home: Path, commit: str) -> None:
    (home / "refs" / "main").write_text(commit)


def test_two_revisions_of_a_hub_model_have_two_identities(hub: Path, tiny_model: Path) -> None:
    before = locate(NAME)
    assert (before.revision, before.place) == (OLD, hub / "snapshots" / OLD)
    assert before.hashes() == locate(str(tiny_model)).hashes()
    point(hub, NEW)
    assert locate(NAME).revision == NEW
    assert locate(NAME).hashes() != before.hashes()
    assert locate(NAME, OLD).hashes() == before.hashes()


def test_runs_of_two_revisions_are_on_two_boards_and_a_folder_s_on_its_copy_s(
    hub: Path, tiny_model: Path, tmp_path: Path
) -> None:
    old = cl_bench.run(model=NAME, out=tmp_path / "old", **SHORT).manifest
    folder = cl_bench.run(model=str(tiny_model), out=tmp_path / "folder", **SHORT).manifest
    point(hub, NEW)
    new = cl_bench.run(model=NAME, out=tmp_path / "new", **SHORT).manifest
    assert [run["model_revision"] for run in (old, new, folder)] == [OLD, NEW, None]
    weights = [run["model_files"]["model.safetensors"] for run in (old, new)]
    files = [hub / "snapshots" / commit / "model.safetensors" for commit in (OLD, NEW)]
    assert weights == [file_hash(file) for file in files]
    assert key_of(old).differing(key_of(new)) == ("model",)
    assert key_of(old).model != key_of(new).model
    assert key_of(old).model == key_of(folder).model


def test_a_killed_run_goes_on_from_the_revision_it_began_with_or_not_at_all(
    hub: Path, tmp_path: Path
) -> None:
    whole = cl_bench.run(model=NAME, out=tmp_path / "whole", **SHORT)
    killed = tmp_path / "killed"
    with pytest.raises(KeyboardInterrupt):
        cl_bench.run(model=NAME, out=killed, progress=KillAtTheLastStep(), **SHORT)
    point(hub, NEW)
    shutil.copytree(killed, tmp_path / "lost")
    again = resume(killed)
    columns = ["step", "domain", "accuracy", "entropy"]
    pairs = [run.table("evaluations")[columns] for run in (whole, again)]
    assert pairs[0].equals(pairs[1])
    shutil.rmtree(hub / "snapshots" / OLD)
    with pytest.raises(ModelError, match="it is not in the cache"):
        resume(tmp_path / "lost")


def test_a_run_that_does_not_say_its_model_s_files_neither_goes_on_nor_compares(
    tiny_model: Path, tmp_path: Path
) -> None:
    run = cl_bench.run(model=str(tiny_model), out=tmp_path / "run", **SHORT)
    manifest = read_json(run.path / "manifest.json") | {"model_files": {}, "status": "running"}
    write_json_atomically(run.path / "manifest.json", manifest)
    with pytest.raises(RunDirectoryError, match="does not say which files"):
        key_of(manifest)
    with pytest.raises(RunDirectoryError, match="model_files differ"):
        resume(run.path)


def test_what_loading_does_not_read_is_no_part_of_the_identity(
    tiny_model: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    before = locate(str(folder)).hashes()
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= before.keys()
    for name in ("README.md", "trainer_state.json", "pytorch_model.bin", "notes.txt"):
        (folder / name).write_text("{}")
    (folder / "original.json").mkdir()
    assert locate(str(folder)).hashes() == before
    double_weights(folder)
    assert locate(str(folder)).hashes() != before


def test_weights_in_parts_count_with_every_part(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    parts = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    weights = load_file(folder / "model.safetensors")
    names = [sorted(weights)[:3], sorted(weights)[3:]]
    for part, held in zip(parts, names, strict=True):
        save_file({name: weights[name] for name in held}, folder / part)
    index = {name: part for part, held in zip(parts, names, strict=True) for name in held}
    write_json_atomically(folder / "model.safetensors.index.json", {"weight_map": index})
    (folder / "model.safetensors").unlink()
    assert {*parts, "model.safetensors.index.json"} <= locate(str(folder)).hashes().keys()
    (folder / parts[1]).unlink()
    with pytest.raises(ModelError, match=f"no identity: there is no {parts[1]}"):
        locate(str(folder)).hashes()


def test_the_weights_that_config_names_and_templates_of_their_own_folder_count(
    tiny_model: Path, tmp_path: Path
) -> None:
    def made(name: str, named: bytes, template: str) -> dict[str, str]:
        folder = tmp_path / name
        shutil.copytree(tiny_model, folder)
        config = json.loads((folder / "config.json").read_text())
        config["transformers_weights"] = "other.safetensors"
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "other.safetensors").write_bytes(named)
        (folder / "additional_chat_templates").mkdir()
        (folder / "additional_chat_templates" / "default.jinja").write_text(template)
        return ModelFiles(folder).hashes()

    first = made("a", b"one", "x")
    assert "model.safetensors" not in first
    assert first == made("b", b"one", "x")
    assert first != made("c", b"two", "x")
    assert first != made("d", b"one", "y")
