"""The grid of a sweep: every learner on every stream with every seed, checked beforehand."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from itertools import product
from typing import Any

from cl_bench.contract.errors import UsageError, unknown
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

    `options` are those of `cl_bench.run`, for every cell that has them, and `LEARNER.NAME` for the
    cells of that learner alone. Raises `UsageError` for names that do not exist and options that
    cannot work.
    """
    learners = [LEARNERS.full(name) for name in learners]
    for name in learners:
        LEARNERS.load(name)
    shared, own = _split(options or {}, learners)
    parts = {name: shared[name] for name in OF_A_STREAM if name in shared}
    for name in streams:
        stream(name, steps=steps, **parts)
    require_settings(shared.keys() - set(OF_A_STREAM), *learners)
    for name, options_of_it in own.items():
        require_settings(options_of_it, name)
    owned = {name: _owned(shared, name, learners) | own[name] for name in learners}
    models = {
        name: configure(learner=name, model=model, **_but(parts, options_of_it)).model
        for name, options_of_it in owned.items()
    }
    length = 0 if steps is None else whole_number("steps", steps, COUNTS)
    chosen = [whole_number("seed", seed, SEEDS) for seed in seeds]
    combined = product(chosen, streams, learners)
    return [
        Cell(at, who, seed, length, owned[who], model=models[who]) for seed, at, who in combined
    ]


def _split(
    options: Mapping[str, Any], learners: Sequence[str]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The options of all learners, and by learner those that it alone is given."""
    shared: dict[str, Any] = {}
    own: dict[str, dict[str, Any]] = {name: {} for name in learners}
    for name, value in options.items():
        whose, dot, setting = name.rpartition(".")
        if setting in _ITS_OWN:
            raise UsageError(
                f"{name} cannot be set for all runs alike: a sweep decides it. Leave it out of the "
                "options; streams, learners, seeds, steps and model have arguments of their own."
            )
        if not dot:
            shared[setting] = value
        elif setting in OF_A_STREAM:
            raise UsageError(
                f"{name} is for one learner, but all have the same stream. Type {setting}."
            )
        elif LEARNERS.full(whose) not in own:
            raise unknown("learner of this sweep", whose, learners)
        else:
            own[LEARNERS.full(whose)][setting] = value
    return shared, own


def _but(left_out: Container[str], options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in left_out}


def _owned(options: Mapping[str, Any], learner: str, learners: Sequence[str]) -> dict[str, Any]:
    """Of `options`, those that are not settings of the other learners alone."""
    known = names_of(learner)
    elsewhere = {name for other in learners for name in names_of(other)} - known
    return {name: value for name, value in options.items() if name not in elsewhere}
