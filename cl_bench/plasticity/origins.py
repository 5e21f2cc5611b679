"""The models that are probed: those that runs kept of their stages' ends, and their base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cl_bench.contract.errors import RunDirectoryError, UsageError
from cl_bench.execution.preflight import require_whole
from cl_bench.execution.settings import RunConfig
from cl_bench.export.exporting import require_same_base, weights_of, write_checkpoint_model
from cl_bench.model.loading import locate
from cl_bench.model.named import resolve
from cl_bench.store.files import file_hash, replacing_folder, writing
from cl_bench.store.remote import fetched
from cl_bench.store.run_directory import RunDirectory, stage_models


@dataclass(frozen=True)
class Origin:
    """A run whose models are probed."""

    path: Path
    """As it was given."""
    learner: str
    stream: str
    config: RunConfig
    stages: tuple[str, ...]
    """The domain of every stage."""
    models: Mapping[int, Path]
    """By the number of a stage, from 1, the folder of the model at its end."""
    revision: str | None = None
    """The commit of a base model from the hub."""
    snapshot: Path | None = None
    """The folder of such a model at that commit."""


def origins(paths: Sequence[Path], folder: Path) -> list[Origin]:
    """The runs at `paths`, each once; they must have started from one base model.

    A finished run that kept no models has that of its last checkpoint written below `folder`.
    Raises `RunDirectoryError` for what is not a run or has no models, `UsageError` for other bases.
    """
    different: dict[Path, Path] = {}
    for path in paths:
        place = fetched(path, models=True)
        different.setdefault(place.resolve(), place)
    directories = [RunDirectory.open(path) for path in different.values()]
    for directory in directories:
        require_whole(directory.manifest, directory.path)
    if not directories:
        raise UsageError("Give at least one run directory to probe the models of.")
    _require_one_base(directories)
    return [_origin(directory, folder) for directory in directories]


def _origin(directory: RunDirectory, folder: Path) -> Origin:
    manifest = directory.manifest
    config = RunConfig.from_dict(manifest["config"])
    stages = tuple(str(stage["domain"]) for stage in manifest["stream"]["stages"])
    kept = {stage: model.resolve() for stage, model in stage_models(directory.path).items()}
    revision = manifest["model_revision"]
    base = locate(resolve(config.model), revision)
    return Origin(
        path=directory.path,
        learner=config.learner,
        stream=str(manifest["stream"]["name"]),
        config=config,
        stages=stages,
        revision=revision,
        snapshot=base.place if revision and not base.adapters else None,
        models=kept or {len(stages): _from_checkpoint(directory, folder)},
    )


def _require_one_base(directories: Sequence[RunDirectory]) -> None:
    first, *others = directories
    for other in others:
        if other.manifest["model_files"] != first.manifest["model_files"]:
            named = [f"{run.path} ({run.manifest['config']['model']})" for run in (first, other)]
            raise UsageError(
                f"The runs {' and '.join(named)} started from different base models, so their "
                "plasticity does not compare. Probe them by a command each."
            )
    require_same_base(first)


def _from_checkpoint(directory: RunDirectory, folder: Path) -> Path:
    """The folder with the model of a finished run's last checkpoint, written unless it is there."""
    status = directory.manifest["status"]
    checkpoint = directory.checkpoints.current() if status == "done" else None
    weights = weights_of(checkpoint)
    if weights is None:
        lacking = "its checkpoint holds no weights" if status == "done" else f"it is {status}"
        raise RunDirectoryError(
            f"The run {directory.path} kept no models, and {lacking}, so there is nothing to "
            "probe. Make it again: cl-bench run --keep-stage-models."
        )
    # Named by the content, so that a run made again in the same place is probed anew.
    name = f"{directory.path.resolve().name}-{file_hash(weights)[:12]}"
    target = folder.resolve() / name
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        with writing(folder, run=False), replacing_folder(target) as unfinished:
            write_checkpoint_model(directory, checkpoint, unfinished)
    return target
