"""The settings with which learners go into the comparison: read, checked, and whose they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import lcm
from pathlib import Path
from typing import Any

from cl_bench.claims.calibration import LEARNERS as TRIED
from cl_bench.claims.calibration import SETTINGS
from cl_bench.contract.errors import RunDirectoryError, UsageError
from cl_bench.contract.learner import LearnerConfig
from cl_bench.contract.registry import LEARNERS, REFERENCE_LEARNER
from cl_bench.contract.stream_names import stream
from cl_bench.execution.settings import RunConfig
from cl_bench.store.files import read_json
from cl_bench.sweep.cell import Cell

Settings = Mapping[str, Mapping[str, Any]]
"""By learner its options."""
_DEFAULT = LearnerConfig()
_WHENCE = "`cl-bench calibrate` chooses them and writes results/calibration/settings.json"


def read_settings(file: Path) -> Settings:
    """The settings in a file that calibration wrote.

    `RunDirectoryError` if it is missing or lacks those of a learner that has trials.
    """
    if not file.exists():
        raise RunDirectoryError(
            f"There is no {file}: no learner has settings yet. {_WHENCE}; copy that file there."
        )
    found = read_json(file)
    options = list(found.values()) if isinstance(found, dict) else []
    if not options or not all(isinstance(each, dict) for each in options):
        raise RunDirectoryError(
            f"{file} is damaged: it does not hold options by learner. {_WHENCE}; copy that file "
            "there."
        )
    lacking = [learner for learner in TRIED if learner not in found]
    if lacking:
        raise RunDirectoryError(
            f"{file} has no settings for {', '.join(lacking)}. `cl-bench calibrate --learners "
            f"{','.join(lacking)}` adds them to results/calibration/settings.json; copy that file "
            "there."
        )
    settings: Settings = found
    return settings


def untried() -> tuple[str, ...]:
    """The built-in learners that calibration does not try and that take the reference learner's
    settings, of which they have all."""
    reference = LEARNERS.load(REFERENCE_LEARNER).config
    return tuple(
        name
        for name in LEARNERS.table
        if name not in TRIED and issubclass(LEARNERS.load(name).config, reference)
    )


def options_of(learner: str, settings: Settings) -> Mapping[str, Any]:
    """A learner's options: its own, or those of the one it inherits from.

    `RunDirectoryError` for a learner that has neither; nobody's settings are guessed.
    """
    inherits = learner not in settings and learner in untried()
    owner = REFERENCE_LEARNER if inherits else learner
    if owner not in settings:
        whose = "" if owner == learner else f", which takes those of {owner}"
        raise RunDirectoryError(
            f"There are no settings for the learner {learner}{whose}; there are for "
            f"{', '.join(settings) or 'none'}. {_WHENCE}."
        )
    return settings[owner]


def calibrated(cells: Iterable[Cell], settings: Settings | None = None) -> list[Cell]:
    """The cells, each with its learner's calibrated options (see `settings.options_of`).

    Options that a cell has itself stay. What it counts in training steps, `steps` and `eval_every`,
    it counts in steps of the default size, 64 samples: a learner whose steps are larger makes fewer
    of them, and is evaluated after fewer, so that all spend the same. `UsageError` where that is no
    whole number, and for a stream whose stages differ in length; `RunDirectoryError` for a learner
    without settings.
    """
    chosen = read_settings(SETTINGS) if settings is None else settings
    return [_calibrated(cell, chosen) for cell in cells]


def _calibrated(cell: Cell, settings: Settings) -> Cell:
    options = {**options_of(cell.learner, settings), **cell.options}
    sizes = {name: options[name] for name in ("problems_per_step", "group_size") if name in options}
    size = _samples(replace(_DEFAULT, **sizes))
    every = options.get("eval_every", RunConfig.eval_every)
    options["eval_every"] = _in_own_steps("eval_every", every, size, cell.learner)
    steps = _in_own_steps("steps", _stage_steps(cell), size, cell.learner)
    return replace(cell, steps=steps, options=options)


def _stage_steps(cell: Cell) -> int:
    lengths = {stage.steps for stage in stream(cell.stream, steps=cell.steps or None).stages}
    if len(lengths) > 1:
        raise UsageError(
            f"The stages of {cell.stream} have {', '.join(map(str, sorted(lengths)))} training "
            "steps, but calibrated runs have as many in every stage. Give them with --steps."
        )
    return lengths.pop()


def _in_own_steps(name: str, steps: int, size: int, learner: str) -> int:
    """As many samples as `steps` of the default size have, in steps of `size` samples."""
    found, rest = divmod(steps * _samples(_DEFAULT), size)
    if rest:
        raise UsageError(
            f"{name} is {steps}, which counts steps of {_samples(_DEFAULT)} samples; calibrated "
            f"steps of {learner} have {size}, and no whole number of them is as many samples. Give "
            f"a multiple of {lcm(_samples(_DEFAULT), size) // _samples(_DEFAULT)}."
        )
    return found


def _samples(config: LearnerConfig) -> int:
    return config.problems_per_step * config.group_size
