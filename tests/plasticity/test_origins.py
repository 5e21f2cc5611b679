"""Which models are probed: kept ones, else a finished run's last; and what cannot be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants

from cl_bench.contract.errors import RunDirectoryError, UsageError
from cl_bench.contract.text import config_hash
from cl_bench.model.loading import load, locate
from cl_bench.model.named import resolve
from cl_bench.plasticity.origins import origins
from cl_bench.plasticity.probe import Probe, options_of
from cl_bench.store.files import read_json, write_json_atomically


def edited(run: Path, folder: Path, **changes: Any) -> Path:
    """A copy of a run whose manifest says something else."""
    copy = folder / "copy"
    shutil.copytree(run, copy)
    manifest = read_json(copy / "manifest.json")
    write_json_atomically(copy / "manifest.json", manifest | changes)
    return copy


def test_every_model_that_a_run_kept_is_probed_and_half_written_ones_are_not(
    keeping: Path, tmp_path: Path
) -> None:
    copy = edited(keeping, tmp_path)
    (copy / "models" / "stage-2").rename(copy / "models" / "stage-10")
    (copy / "models" / "stage-2.unfinished").mkdir()
    (found,) = origins([copy], tmp_path / "models")
    assert list(found.models) == [1, 10]
    assert found.models[1] == copy.resolve() / "models" / "stage-1"
    assert (found.learner, found.stream, found.stages) == ("rl", "math-to-code", ("math", "code"))
    assert not (tmp_path / "models").exists()


def test_a_run_is_taken_once_however_it_is_named(keeping: Path, keeping_none: Path) -> None:
    same = keeping.parent / "x" / ".." / keeping.name
    (keeping.parent / "x").mkdir()
    found = origins([keeping, keeping_none, same], keeping_none / "out")
    assert [origin.path for origin in found] == [keeping, keeping_none]


def test_a_finished_run_that_kept_none_has_the_model_of_its_last_checkpoint(
    keeping: Path, keeping_none: Path, tmp_path: Path
) -> None:
    (found,) = origins([keeping_none], tmp_path / "models")
    assert list(found.models) == [2]
    last = load(str(found.models[2]))[0].state_dict()
    kept = load(str(keeping / "models" / "stage-2"))[0].state_dict()
    assert last.keys() == kept.keys()
    assert all(torch.equal(last[name], kept[name]) for name in kept)
    base = load(resolve("embedded"))[0].state_dict()
    assert any(not torch.equal(base[name], kept[name]) for name in kept)
    (again,) = origins([keeping_none], tmp_path / "models")
    assert again.models == found.models


def test_runs_without_any_model_say_how_to_keep_them(keeping_none: Path, tmp_path: Path) -> None:
    running = edited(keeping_none, tmp_path, status="running")
    with pytest.raises(RunDirectoryError, match=r"it is running, so .* --keep-stage-models"):
        origins([running], tmp_path / "models")
    (current,) = (path for path in (running / "checkpoint").iterdir() if path.is_dir())
    (current / "model.safetensors").unlink()
    hashes = read_json(current / "files.json")
    del hashes["model.safetensors"]
    write_json_atomically(current / "files.json", hashes)
    write_json_atomically(
        running / "manifest.json", read_json(running / "manifest.json") | {"status": "done"}
    )
    with pytest.raises(RunDirectoryError, match="its checkpoint holds no weights"):
        origins([running], tmp_path / "models")


def test_what_is_no_run_is_named(keeping: Path, tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="There is no run directory nowhere"):
        origins([keeping, Path("nowhere")], tmp_path)
    with pytest.raises(UsageError, match="at least one run"):
        origins([], tmp_path)


def test_runs_of_different_base_models_are_refused(keeping: Path, tmp_path: Path) -> None:
    other = edited(keeping, tmp_path, model_files={"model.safetensors": "0"})
    with pytest.raises(UsageError, match=r"and .*copy \(embedded\) started from different base"):
        origins([keeping, other], tmp_path / "models")


def test_a_base_model_that_has_changed_since_the_run_is_refused(
    keeping: Path, tmp_path: Path
) -> None:
    hashes = read_json(keeping / "manifest.json")["model_files"]
    before = dict.fromkeys(hashes, "0" * 64)
    other = edited(keeping, tmp_path, model_files=before)
    assert json.loads((other / "manifest.json").read_text())["model_files"] == before
    with pytest.raises(RunDirectoryError, match="is not what it was when the run began"):
        origins([other], tmp_path / "models")


def test_a_base_from_the_hub_is_probed_at_the_commit_that_the_run_began_with(
    keeping: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = "a" * 40, "b" * 40
    home = tmp_path / "hub" / "models--acme--tiny"
    for commit in (old, new):
        shutil.copytree(tiny_model, home / "snapshots" / commit)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(new)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home.parent))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    files = locate("acme/tiny", old).hashes()
    stated = read_json(keeping / "manifest.json")
    described = {"stream": stated["stream"], "config": stated["config"] | {"model": "acme/tiny"}}
    changes = {"model_revision": old, "model_files": files, "config_hash": config_hash(described)}
    run = edited(keeping, tmp_path, **described, **changes)
    (origin,) = origins([run], tmp_path / "models")
    probe = Probe("facts", 2, (), options_of(origin.config))
    assert probe.cell(origin, None, 5).model == str(home / "snapshots" / old)
