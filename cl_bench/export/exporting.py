"""`export`: a run's model (weights and tokenizer), prompts and card as one folder."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import is_zipfile

from cl_bench.contract.errors import RunDirectoryError, UsageError
from cl_bench.execution.settings import RunConfig
from cl_bench.export.card import card
from cl_bench.export.hub import Destination
from cl_bench.export.subject import subject_of
from cl_bench.model.loading import locate
from cl_bench.model.named import resolve
from cl_bench.store.files import replacing_folder, write_json_atomically
from cl_bench.store.remote import fetched
from cl_bench.store.run_directory import RunDirectory, stage_models
from cl_bench.store.views import stream_rows

if TYPE_CHECKING:
    from cl_bench.model.policy import Policy

_KEEP = "`cl-bench run --keep-stage-models` keeps the model of every stage's end."


@dataclass(frozen=True)
class Exported:
    """Where the model is."""

    folder: Path
    stage: int
    url: str | None = None
    """On the hub, if it was pushed."""


def export(
    run: Path,
    out: Path,
    *,
    stage: int | None = None,
    push_to_hub: str | None = None,
    private: bool = False,
    adapter: bool = False,
) -> Exported:
    """Write the model of a stage's end, by default the last, into the new folder `out`.

    A model with an adapter is written merged, or with `adapter` the adapter alone.
    `push_to_hub` names a repository that the folder is uploaded to then. Everything that can be
    refused is before anything is written; the folder is written whole or not at all.
    """
    if private and push_to_hub is None:
        raise UsageError("--private says how to push: give --push-to-hub REPO, too.")
    if out.exists():
        raise UsageError(f"{out} exists already. Give a new folder as --out.")
    run = fetched(run, models=True)
    if run.is_file():
        packed = run.suffix == ".zip" or is_zipfile(run)
        what = "a packed run, which holds no model" if packed else "no run"
        raise UsageError(f"{run} is {what}. Give the run's directory.")
    target = None if push_to_hub is None else Destination(push_to_hub, private=private)
    directory = RunDirectory.open(run)
    last = len(directory.manifest["stream"]["stages"])
    number = last if stage is None else stage
    if not 1 <= number <= last:
        raise UsageError(f"--stage is {stage}, but the stages of {run} are 1 to {last}.")
    if adapter:
        _require_adapter(directory, number, last)
    subject = subject_of(directory, number, out.resolve().name, push_to_hub, adapter=adapter)
    with replacing_folder(out) as folder:
        if adapter:
            _write_adapter(directory, folder)
        else:
            _write_model(directory, number, folder)
        write_json_atomically(folder / "prompts.json", subject.prompts.data())
        card(subject).save(folder / "README.md")
    url = None if target is None else target.push(out, "Model exported by cl-bench")
    return Exported(out, number, url)


def _write_model(run: RunDirectory, stage: int, target: Path) -> None:
    """Write model and tokenizer at the end of a stage into the folder `target`.

    It is the model that the run kept, else that of a finished run's last checkpoint. A run of which
    neither is there is a `RunDirectoryError`, or a `UsageError` for an earlier stage.
    """
    kept, status = stage_models(run.path), run.manifest["status"]
    if stage in kept:
        shutil.copytree(kept[stage], target, dirs_exist_ok=True)
        return
    others = f" Kept are those of stage {', '.join(map(str, kept))}." if kept else ""
    if stage != len(run.manifest["stream"]["stages"]):
        raise UsageError(f"The run {run.path} kept no model of stage {stage}.{others} {_KEEP}")
    if status != "done":
        raise RunDirectoryError(
            f"The run {run.path} is {status}, so it has no model of its last stage's end."
            f"{others or ' Finish it first.'}"
        )
    checkpoint = run.checkpoints.current()
    if weights_of(checkpoint) is None and not _still_base(run):
        raise RunDirectoryError(
            f"The checkpoint of the run {run.path} holds no weights, though the run trained some. "
            f"{_KEEP}"
        )
    write_checkpoint_model(run, checkpoint, target)


def _require_adapter(run: RunDirectory, stage: int, last: int) -> None:
    """Raise `UsageError` unless the run's checkpoint holds the adapter of that stage's end."""
    said = ""
    if RunConfig.from_dict(run.manifest["config"]).lora is None:
        said = "it has no --peft lora. Leave out --adapter"
    elif stage != last or run.manifest["status"] != "done":
        said = (
            "that of the end alone is kept apart, merged ones of every stage. Leave out --adapter"
        )
    elif weights_of(run.checkpoints.current()) is None:
        said = "its learner trained no parameters. Leave out --adapter"
    if said:
        raise UsageError(f"The run {run.path} has no such adapter: {said}.")


def _write_adapter(run: RunDirectory, target: Path) -> None:
    """Write the adapter of the last checkpoint, and the tokenizer, into a folder."""
    from cl_bench.model.adapters import save_adapter

    policy = _checkpoint_policy(run, run.checkpoints.current())
    policy.tokenizer.save_pretrained(target)
    save_adapter(policy.model, target, str(run.manifest["config"]["model"]))


def _still_base(run: RunDirectory) -> bool:
    """Whether the policy never left the base model: a learner of prompts alone."""
    rows = stream_rows(run.table("evaluations"))
    return len(rows) > 0 and bool((rows["kl_policy_base"] == 0).all())


def require_same_base(run: RunDirectory) -> None:
    """Raise `RunDirectoryError` unless the base model's files are those that the run began with."""
    name, revision = str(run.manifest["config"]["model"]), run.manifest["model_revision"]
    if locate(resolve(name), revision).hashes() != run.manifest["model_files"]:
        raise RunDirectoryError(
            f"The base model of the run {run.path}, {name}, is not what it was when the run began. "
            "Give it back its files."
        )


def weights_of(checkpoint: Path | None) -> Path | None:
    """The file with the trained parameters of a checkpoint; None if there is none."""
    from cl_bench.slow.optimizer import WEIGHTS

    file = None if checkpoint is None else checkpoint / WEIGHTS
    return file if file is not None and file.is_file() else None


def write_checkpoint_model(run: RunDirectory, checkpoint: Path | None, target: Path) -> None:
    """Write the run's model, with the parameters of a checkpoint that has some, into a folder.

    Another base model than the run's is a `RunDirectoryError`.
    """
    _checkpoint_policy(run, checkpoint).save_model(target)


def _checkpoint_policy(run: RunDirectory, checkpoint: Path | None) -> Policy:
    from cl_bench.model.environment import precision_named
    from cl_bench.model.policy import Policy
    from cl_bench.slow.optimizer import load_parameters

    manifest = run.manifest
    base = resolve(str(manifest["config"]["model"]))
    config = RunConfig.from_dict(manifest["config"])
    precision = precision_named(config.precision, "cpu")
    policy = Policy.load(
        base, precision=precision, revision=manifest["model_revision"], lora=config.lora
    )
    require_same_base(run)  # once a hub model's files are in its cache
    if checkpoint is not None and weights_of(checkpoint) is not None:
        load_parameters(policy, checkpoint)
    return policy
