"""Cells of a sweep with the settings that calibration chose for each learner, at equal samples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import lcm

from cl_bench.claims.calibration import SETTINGS
from cl_bench.claims.settings import Settings, options_of, read_settings
from cl_bench.contract.errors import UsageError
from cl_bench.contract.learner import LearnerConfig
from cl_bench.contract.stream_names import stream
from cl_bench.execution.settings import RunConfig
from cl_bench.sweep.cell import Cell

_DEFAULT = LearnerConfig()


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
