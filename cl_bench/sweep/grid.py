"""The grid of a sweep: every learner on every stream with every seed, checked beforehand."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from itertools import product
from typing import Any

from cl_bench.contract.errors import UsageError
from cl_bench.contract.registry import LEARNERS
from cl_bench.contract.stream_names import OF_A_STREAM, stream
from cl_bench.contract.validation import COUNTS, SEEDS, whole_number
from cl_bench.execution.settings import configure, names_of, require_settings
from cl_bench.sweep.cell import Cell

_ITS_OWN = ("stream", "learner", "seed", "steps", "model", "out", "progress", "track")
"""What a cell says by itself, or a sweep decides."""


def grid(
    streams: Sequence[str],
    learners: Sequence[str],
    seeds: Sequence[int],
    *,
    steps: int | None = None,
    model: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> list[Cell]:
    """The cells of all combinations, seed by seed, so that early ends leave comparable runs.

    `options` are those of `cl_bench.run`, for every cell that has them. Raises `UsageError` for
    names that do not exist and options that cannot work.
    """
    options = dict(options or {})
    for name in _ITS_OWN:
        if name in options:
            raise UsageError(
                f"{name} cannot be set for all runs alike: a sweep decides it. Leave it out of the "
                "options; streams, learners, seeds, steps and model have arguments of their own."
            )
    parts = {name: options[name] for name in OF_A_STREAM if name in options}
    for name in streams:
        stream(name, steps=steps, **parts)
    learners = [LEARNERS.full(name) for name in learners]
    for name in learners:
        LEARNERS.load(name)
    require_settings(options.keys() - set(OF_A_STREAM), *learners)
    owned = {name: _owned(options, name, learners) for name in learners}
    models = {
        name: configure(learner=name, model=model, **_but(parts, own)).model
        for name, own in owned.items()
    }
    length = 0 if steps is None else whole_number("steps", steps, COUNTS)
    chosen = [whole_number("seed", seed, SEEDS) for seed in seeds]
    combined = product(chosen, streams, learners)
    return [
        Cell(at, who, seed, length, owned[who], model=models[who]) for seed, at, who in combined
    ]


def _but(left_out: Container[str], options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in left_out}


def _owned(options: Mapping[str, Any], learner: str, learners: Sequence[str]) -> dict[str, Any]:
    """Of `options`, those that are not settings of the other learners alone."""
    known = names_of(learner)
    elsewhere = {name for other in learners for name in names_of(other)} - known
    return {name: value for name, value in options.items() if name not in elsewhere}
