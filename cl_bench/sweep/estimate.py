"""What a run takes that was never made, scaled from finished runs: seconds by phase, and bytes.

    load         as it was
    learning     by the rollouts that parameters learn from, or by steps if none do
    rounds       by the prompt optimiser's rollouts
    evaluate     by responses sampled and scored
    checkpoint   by evaluation points

Every phase is scaled from the finished runs that are nearest: of the same learner and stream, else
of the same learner, else of another one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from cl_bench.analysis.entries import damage_told
from cl_bench.api import Asked, resolve
from cl_bench.contract.errors import ClBenchError, RunDirectoryError, UsageError
from cl_bench.contract.stream import Stream
from cl_bench.contract.text import counted
from cl_bench.execution.requirements import Work, work_of
from cl_bench.execution.settings import RunConfig
from cl_bench.store.run_directory import RunDirectory, stage_models
from cl_bench.sweep.cell import Cell

PHASES = ("load", "learning", "rounds", "evaluate", "checkpoint")
LOAD, LEARNING, ROUNDS, EVALUATE, CHECKPOINT = PHASES
FACTOR, WIDE_FACTOR = 1.3, 1.65
"""What eight of ten runs took lay between an estimate divided by this and multiplied by it: scaled
from one run of the same learner, stream and settings, and from one of others. Measured on the
committed runs, as docs/sweeps.md says."""
_LEAST = 1.1
"""The same, at least, where several runs were measured."""
_COSTLY = (
    *("precision", "peft", "lora_rank", "gradient_checkpointing", "sampler", "thinking"),
    *("threads", "max_new_tokens", "epochs_per_batch", "reflection_lm", "keep_stage_models"),
)
"""Settings that change what a response or a step takes, which nothing here scales."""


class Range(NamedTuple):
    """A number that is not known exactly."""

    low: float
    middle: float
    high: float

    def times(self, factor: float) -> Range:
        """Return this many times as much."""
        return Range(*(factor * value for value in self))


def total(ranges: Sequence[Range]) -> Range:
    """Return the sum, from all that are low to all that are high."""
    return Range(*(sum(values) for values in zip(Range(0, 0, 0), *ranges, strict=True)))


@dataclass(frozen=True)
class Sizes:
    """Bytes of a run's directory."""

    rows: int
    """Tables, which grow with every evaluation point."""
    checkpoint: int
    stage_model: int
    """The model of one stage's end."""
    rest: int


@dataclass(frozen=True)
class Measured:
    """A finished run, as a measure of others."""

    name: str
    learner: str
    stream: str
    config: RunConfig
    work: Work
    seconds: Mapping[str, float]
    sizes: Sizes
    memory: int | None
    """The most bytes that its process held."""
    gpu_memory: int | None
    """The same of a GPU; None if it ran on a CPU."""
    ranks: int


@dataclass(frozen=True)
class Estimate:
    """What one run takes."""

    seconds: Mapping[str, Range]
    """By phase; without the start of its process."""
    disk: int
    checkpoint: int
    """Bytes of that which are there once more while a new checkpoint is written."""
    doubts: tuple[str, ...]
    """Why it is less certain than one scaled from a run of the same learner, stream and settings;
    empty if it is not."""

    @property
    def total(self) -> Range:
        return total(list(self.seconds.values()))


def measured(path: Path) -> Measured:
    """Read a finished run as a measure; `RunDirectoryError` if it is not one."""
    with damage_told(path):
        return _measured(path)


def _measured(path: Path) -> Measured:
    directory = RunDirectory.open(path)
    manifest = directory.manifest
    if manifest["status"] != "done":
        raise RunDirectoryError(
            f"{path} is {manifest['status']}: only a finished run says what one takes. Finish it, "
            "or give --measure another one."
        )
    config = RunConfig.from_dict(manifest["config"])
    stream = Stream.from_description(manifest["stream"])
    peaks = manifest.get("peak_memory") or {}
    return Measured(
        name=path.name,
        learner=config.learner,
        stream=stream.name,
        config=config,
        work=work_of(config, stream),
        seconds=_seconds(directory),
        sizes=_sizes(path),
        memory=peaks.get("machine"),
        gpu_memory=peaks.get("gpu"),
        ranks=manifest.get("ranks", 1),
    )


def all_measured(path: Path) -> list[Measured]:
    """Read a run, or the finished ones of a folder of runs; `UsageError` if there are none."""
    if (path / "manifest.json").exists():
        return [measured(path)]
    found = []
    for run in sorted(path.glob("*/manifest.json")):
        try:
            found.append(measured(run.parent))
        except ClBenchError:  # an unfinished or a damaged one beside others
            continue
    if not found:
        raise UsageError(
            f"--measure is {path}, where there is no directory of a finished run (packed runs do "
            "not hold what takes its room). Give a run's directory, or a folder with some."
        )
    return found


def asked_by(cell: Cell, folder: Path) -> Asked:
    """Return the settings of a cell's run, as if the model it starts from were there."""
    first = cell
    while first.start is not None:
        first = first.start
    arguments = replace(cell, start=None, model=first.model).arguments(folder)
    del arguments["out"]
    return resolve(**arguments)


def estimate(asked: Asked, measures: Sequence[Measured], gpus: int) -> Estimate:
    """Scale the nearest measures to a run on so many GPUs, 0 on a CPU.

    Raises `UsageError` if none says anything about it.
    """
    work = work_of(asked.config, asked.stream)
    known = _of_its_model(asked, measures)

    def nearest(tells: Callable[[Measured], bool] = lambda _: True) -> list[Measured]:
        those = [one for one in known if tells(one)] or known
        first = min(_distance(one, asked) for one in those)
        return [one for one in those if _distance(one, asked) == first]

    alike = nearest(lambda one: bool(one.work.learned) == bool(work.learned))
    if work.learned and not alike[0].work.learned:
        raise UsageError(
            f"No run was measured that trains parameters, as {asked.config.learner} does: "
            f"{known[0].name} is of {known[0].learner}."
        )
    from_which = {
        LOAD: nearest(),
        LEARNING: alike,
        ROUNDS: nearest(lambda one: one.work.explored > 0 or not work.explored),
        EVALUATE: nearest(),
        CHECKPOINT: alike,
    }
    doubts = dict.fromkeys(doubt for one in nearest() for doubt in _doubts(one, asked, gpus))
    seconds = {
        phase: _range([_scaled(phase, one, work) for one in near], certain=not doubts)
        for phase, near in from_which.items()
    }
    disk, checkpoint = _disk(asked, work, alike)
    return Estimate(seconds, disk, checkpoint, tuple(doubts))


def _of_its_model(asked: Asked, measures: Sequence[Measured]) -> list[Measured]:
    """Return the measures of a run's model; `UsageError` if there are none."""
    model = asked.config.anywhere().model
    found = [one for one in measures if one.config.anywhere().model == model]
    if not found:
        raise UsageError(
            f"{measures[0].name} was measured with the model {measures[0].config.model}, which "
            f"says nothing about {model}."
        )
    return found


def _distance(one: Measured, asked: Asked) -> tuple[bool, bool]:
    return one.learner != asked.config.learner, one.stream != asked.stream.name


def _doubts(one: Measured, asked: Asked, gpus: int) -> list[str]:
    """Return what differs between a measured run and one to come, beside what is scaled."""
    doubts = []
    if one.learner != asked.config.learner:
        doubts.append(f"measured with {one.learner}")
    if one.stream != asked.stream.name:
        doubts.append(f"measured on {one.stream}")
    if one.gpu_memory and gpus != one.ranks:  # how much faster more of them are is not known
        doubts.append(f"measured with {counted(one.ranks, 'GPU')}, and taken as it was")
    for name in _COSTLY:
        then, now = _setting(one.config, name), _setting(asked.config, name)
        if then != now and None not in (then, now) and now != "auto":
            doubts.append(f"measured with {name} {then}, not {now}")
    return doubts


def _setting(config: RunConfig, name: str) -> object:
    return getattr(config, name, getattr(config.learning, name, None))


def _scaled(phase: str, one: Measured, work: Work) -> float:
    """Return the seconds of a phase, from a run that has it or, of rounds, another one."""
    then = one.work
    if phase == LEARNING and then.learned and not work.learned:
        return 0.0
    if phase == ROUNDS and not then.explored:  # as many responses of evaluations
        return one.seconds[EVALUATE] / then.evaluated * work.explored
    learning = (work.learned, then.learned) if work.learned else (work.steps, then.steps)
    now, before = {
        LOAD: (1, 1),
        LEARNING: learning,
        ROUNDS: (work.explored, then.explored),
        EVALUATE: (work.evaluated, then.evaluated),
        CHECKPOINT: (work.points, then.points),
    }[phase]
    return one.seconds[phase] * now / before if now else 0.0


def _range(values: Sequence[float], *, certain: bool) -> Range:
    """Return the mean with the range of one more such value."""
    mean, spread = fmean(values), max(values) - min(values)
    factor = WIDE_FACTOR if not certain else FACTOR if len(values) == 1 else _LEAST
    low, high = min(mean / factor, mean - spread), max(mean * factor, mean + spread)
    return Range(max(0.0, low), mean, high)


def _seconds(directory: RunDirectory) -> dict[str, float]:
    """Return what a run's phases took; loading once, however often it was resumed."""
    timing, ledger = directory.table("timing"), directory.table("ledger")
    by_phase = timing.groupby("phase")["seconds"]
    spent = by_phase.sum().to_dict()
    rounds = float(ledger.loc[ledger["channel"] == "fast", "seconds"].max())
    return {
        LOAD: float(by_phase.mean()["load"]),
        LEARNING: max(0.0, spent.get("learn", 0.0) - rounds),
        ROUNDS: rounds,
        EVALUATE: spent["evaluate"],
        CHECKPOINT: spent["checkpoint"],
    }


def _sizes(path: Path) -> Sizes:
    models = stage_models(path)
    parts = {name: _bytes(path / name) for name in ("tables", "commits", "checkpoint", "models")}
    return Sizes(
        rows=parts["tables"] + parts["commits"],
        checkpoint=parts["checkpoint"],
        stage_model=parts["models"] // len(models) if models else 0,
        rest=_bytes(path) - sum(parts.values()),
    )


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _disk(asked: Asked, work: Work, near: Sequence[Measured]) -> tuple[int, int]:
    """Return the bytes of a run's directory, and those of its checkpoint among them."""
    learns = bool(work.learned)
    checkpoint = max(one.sizes.checkpoint if learns or not one.work.learned else 0 for one in near)
    rows = fmean(one.sizes.rows * work.points / one.work.points for one in near)
    models = 0
    if asked.config.keep_stage_models:
        models = len(asked.stream.stages) * max(one.sizes.stage_model for one in near)
    rest = max(one.sizes.rest for one in near)
    return round(rows + rest + checkpoint + models), checkpoint
