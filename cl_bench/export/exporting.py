"""`export`: a run's model, prompts and card as one folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cl_bench.contract.errors import RunDirectoryError, UsageError
from cl_bench.export.card import Subject, card
from cl_bench.export.figures import figures_at
from cl_bench.export.hub import Destination
from cl_bench.export.prompts import prompts_at
from cl_bench.export.weights import write_model
from cl_bench.store.files import replacing_folder, write_json_atomically
from cl_bench.store.run_directory import RunDirectory


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
) -> Exported:
    """Write the model of a stage's end, by default the last, into the new folder `out`.

    `push_to_hub` names a repository that the folder is uploaded to then. Everything that can be
    refused is before anything is written; the folder is written whole or not at all.
    """
    if private and push_to_hub is None:
        raise UsageError("--private says how to push: give --push-to-hub REPO, too.")
    if out.exists():
        raise UsageError(f"{out} exists already. Give a new folder as --out.")
    if run.is_file():
        raise UsageError(f"{run} is a packed run, which holds no model. Give the run's directory.")
    target = None if push_to_hub is None else Destination(push_to_hub, private=private)
    directory = RunDirectory.open(run)
    number = _stage(directory, stage)
    subject = _subject(directory, number, out.resolve().name, push_to_hub)
    with replacing_folder(out) as folder:
        write_model(directory, number, folder)
        write_json_atomically(folder / "prompts.json", subject.prompts.data())
        card(subject).save(folder / "README.md")
    if target is None:
        return Exported(out, number)
    return Exported(out, number, target.push(out, "Model exported by cl-bench"))


def _stage(run: RunDirectory, given: int | None) -> int:
    stages = len(run.manifest["stream"]["stages"])
    if given is not None and not 1 <= given <= stages:
        raise UsageError(f"--stage is {given}, but the stages of {run.path} are 1 to {stages}.")
    return stages if given is None else given


def _subject(run: RunDirectory, stage: int, name: str, repository: str | None) -> Subject:
    manifest = run.manifest
    final = stage == len(manifest["stream"]["stages"]) and manifest["status"] == "done"
    try:
        return Subject(
            name=name,
            repository=repository,
            manifest=manifest,
            stage=stage,
            prompts=prompts_at(run, stage, final=final),
            figures=figures_at(run, stage, final=final),
        )
    except KeyError as error:
        raise RunDirectoryError(
            f"{run.path / 'manifest.json'} was edited or is damaged: it has no {error}. Restore it "
            "from a copy."
        ) from error
