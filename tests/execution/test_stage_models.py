"""The models that a run keeps of its stages' ends: whole, the same on a resume, and usable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import cl_bench
from cl_bench.analysis.differences import differences
from cl_bench.api import resume
from cl_bench.model.named import resolve
from cl_bench.model.policy import Policy
from cl_bench.store.files import file_hash
from cl_bench.store.run_directory import RunDirectory
from tests.options import fitting

SMALL: dict[str, Any] = {
    "stream": "math-to-code",
    "learner": "rl",
    "setting": "easy",
    "steps": 2,
    "eval_every": 1,
    "problems_per_step": 2,
    "group_size": 8,
    "items": 1,
    "samples": 1,
    "retention_items": 0,
    "max_new_tokens": 30,
    "probes": False,
    "keep_stage_models": True,
}


@pytest.fixture(scope="module")
def keeping(tmp_path_factory: pytest.TempPathFactory) -> cl_bench.Run:
    return cl_bench.run(out=tmp_path_factory.mktemp("keeping") / "run", **SMALL)


def models(run: cl_bench.Run) -> dict[str, str]:
    """By path, the SHA-256 of every file of the kept models."""
    files = [file for file in (run.path / "models").rglob("*") if file.is_file()]
    return {str(file.relative_to(run.path / "models")): file_hash(file) for file in files}


def test_the_model_of_every_stage_s_end_is_kept(keeping: cl_bench.Run) -> None:
    folders = sorted((keeping.path / "models").iterdir())
    assert [folder.name for folder in folders] == ["stage-1", "stage-2"]
    loaded = [
        Policy.load(str(folder)).model.state_dict() for folder in (resolve("embedded"), *folders)
    ]
    base, first, second = (torch.cat([w.flatten() for w in each.values()]) for each in loaded)
    assert not torch.equal(base, first)
    assert not torch.equal(first, second)
    (weights,) = (keeping.path / "checkpoint").glob("*/model.safetensors")
    for name, tensor in load_file(weights).items():
        assert torch.equal(tensor, loaded[2][name])


def test_models_are_not_kept_unless_asked_for(tiny_model: Path, tmp_path: Path) -> None:
    options = SMALL | {"keep_stage_models": False, "stream": "math", "steps": 1}
    run = cl_bench.run(out=tmp_path / "run", model=str(tiny_model), **options)
    assert not (run.path / "models").exists()


@pytest.mark.parametrize("learner", ["rl", "prompt"])
def test_a_run_can_start_from_the_model_of_a_stage(
    keeping: cl_bench.Run, tmp_path: Path, learner: str
) -> None:
    model = keeping.path / "models" / "stage-1"
    options = fitting(learner, SMALL | {"stream": "code", "steps": 1, "round_exercises": 2})
    run = cl_bench.run(model=str(model), out=tmp_path / "next", **options)
    assert run.status == "done"
    files = {name: digest for name, digest in models(keeping).items() if "stage-1" in name}
    assert {f"stage-1/{name}": h for name, h in run.manifest["model_files"].items()} == files


# Parts: step 0, then two a stage.
@pytest.mark.parametrize(("part", "stage"), [(2, 1), (4, 2)])
def test_a_run_killed_between_a_stage_s_model_and_its_rows_ends_with_the_same_model(
    keeping: cl_bench.Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    part: int,
    stage: int,
) -> None:
    commit = RunDirectory.commit

    def killed(directory: RunDirectory, number: int, rows: Any) -> None:
        if number == part:
            raise KeyboardInterrupt
        commit(directory, number, rows)

    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, "commit", killed)
        with pytest.raises(KeyboardInterrupt):
            cl_bench.run(out=out, **SMALL)
    folder = out / "models" / f"stage-{stage}"
    assert (folder / "model.safetensors").exists()
    (folder / "left.txt").write_text("of another time")
    half = [out / "models" / f"stage-{stage}{end}.unfinished" for end in ("", ".old")]
    for left in (*half, out / "models" / "stage-9.unfinished"):
        left.mkdir()
    resumed = resume(out)
    assert models(resumed) == models(keeping)
    names = sorted(path.name for path in (out / "models").iterdir())
    assert names == ["stage-1", "stage-2"]
    assert differences(resumed, keeping) == []
