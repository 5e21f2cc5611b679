"""The model of a stage's end, written as a folder that transformers loads."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cl_bench.contract.errors import RunDirectoryError, UsageError
from cl_bench.execution.provenance import file_hashes
from cl_bench.model.named import resolve
from cl_bench.store.run_directory import RunDirectory, stage_models
from cl_bench.store.views import stream_rows

_KEEP = "`cl-bench run --keep-stage-models` keeps the model of every stage's end."


def write_model(run: RunDirectory, stage: int, target: Path) -> None:
    """Write model and tokenizer at the end of a stage, from 1, into the folder `target`.

    It is the model that the run kept, else that of a finished run's last checkpoint. A run of which
    neither is there is a `RunDirectoryError`, a stage that the stream has not a `UsageError`.
    """
    kept = stage_models(run.path)
    if stage in kept:
        shutil.copytree(kept[stage], target, dirs_exist_ok=True)
        return
    last = len(run.manifest["stream"]["stages"])
    others = f" Kept are those of stage {', '.join(map(str, kept))}." if kept else ""
    if stage != last:
        raise UsageError(f"The run {run.path} kept no model of stage {stage}.{others} {_KEEP}")
    if run.manifest["status"] != "done":
        raise RunDirectoryError(
            f"The run {run.path} is {run.manifest['status']}, so it has no model of its last "
            f"stage's end.{others or ' Finish it first.'}"
        )
    _write_last(run, target)


def _write_last(run: RunDirectory, target: Path) -> None:
    from cl_bench.model.policy import Policy
    from cl_bench.slow.optimizer import WEIGHTS, load_parameters

    checkpoint, manifest = run.checkpoints.current(), run.manifest
    trained = checkpoint is not None and (checkpoint / WEIGHTS).is_file()
    if not trained and not _still_base(run):
        raise RunDirectoryError(
            f"The checkpoint of the run {run.path} holds no weights ({WEIGHTS}), though the run "
            f"trained some. {_KEEP}"
        )
    name = str(manifest["config"]["model"])
    _require_same_files(run, name, manifest)
    policy = Policy.load(resolve(name))
    revision = getattr(policy.model.config, "_commit_hash", None)
    if revision != manifest["model_revision"]:
        raise _changed(run, name)
    if checkpoint is not None and trained:
        load_parameters(policy, checkpoint)
    policy.save_model(target)


def _still_base(run: RunDirectory) -> bool:
    """Whether the policy never left the base model: a learner of prompts alone."""
    rows = stream_rows(run.table("evaluations"))
    return len(rows) > 0 and bool((rows["kl_policy_base"] == 0).all())


def _require_same_files(run: RunDirectory, name: str, manifest: Mapping[str, Any]) -> None:
    if file_hashes(Path(resolve(name))) != manifest["model_files"]:
        raise _changed(run, name)


def _changed(run: RunDirectory, name: str) -> RunDirectoryError:
    return RunDirectoryError(
        f"The base model of the run {run.path}, {name}, is not what it was when the run began. "
        "Give it back its files."
    )
