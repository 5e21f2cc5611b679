"""Probes of plasticity: ordinary runs of RL on one domain, from each model and from its base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cl_bench.contract.registry import DOMAINS
from cl_bench.contract.stream_names import stream
from cl_bench.contract.validation import SEEDS, whole_number
from cl_bench.execution.settings import RunConfig
from cl_bench.metrics.plasticity import plasticity_ratio
from cl_bench.metrics.stats.student import Estimate, jackknife, over_seeds
from cl_bench.metrics.undefined import Undefined
from cl_bench.plasticity.origins import Origin, origins
from cl_bench.plasticity.probe import Probe, departures, options_of
from cl_bench.plasticity.table import Internals, Plasticity, ProbedModel
from cl_bench.store.run_directory import RunDirectory
from cl_bench.store.views import stream_rows
from cl_bench.sweep.backends.backend import BackendConfig
from cl_bench.sweep.cell import Cell
from cl_bench.sweep.display import Display
from cl_bench.sweep.pool import make_missing
from cl_bench.sweep.state import status


def probe_plasticity(
    paths: Sequence[Path],
    domain: str,
    *,
    out: Path,
    on: BackendConfig,
    display: Display,
    steps: int | None = None,
    seeds: Sequence[int] = (),
    learning_rate: float | None = None,
    problems_per_step: int | None = None,
) -> Plasticity:
    """Probe the models that the runs at `paths` kept, by RL on `domain`, and compare with the base.

    Every probe takes `steps` steps (those of the domain's own stream by default) with one setting:
    that of the first run, but for a `learning_rate` and `problems_per_step` that are given. It is
    made in `out`/runs unless it is finished there. `seeds` are of the probes; without any each
    run's own.
    """
    from cl_bench.plasticity.internals import internals_of

    domain = DOMAINS.full(domain)
    DOMAINS.load(domain)
    length = stream(domain, steps=steps).steps
    different = tuple(dict.fromkeys(whole_number("seeds", seed, SEEDS) for seed in seeds))
    options_of(RunConfig(), learning_rate, problems_per_step)  # before a model is written
    given = origins(paths, out / "models")
    options = options_of(given[0].config, learning_rate, problems_per_step)
    planned = Probe(domain, length, different, options)
    for line in departures(planned, given):
        display.say(
            f"{line}; all probes learn alike, with the settings of {given[0].path} or those given"
        )
    cells = list(dict.fromkeys(cell for origin in given for cell in planned.cells(origin)))
    reached, failed = _make(cells, out / "runs", on, display)
    found = []
    for origin in given:
        items = planned.options["items"]
        diagnosed = internals_of(origin, domain, planned.seeds_of(origin)[0], items)
        found += rows(planned, origin, reached, diagnosed)
    return Plasticity(planned, given[0].path, found, failed)


def _make(
    cells: Sequence[Cell], folder: Path, on: BackendConfig, display: Display
) -> tuple[dict[str, float | Undefined], dict[str, str]]:
    """Make the probes that are missing; by name what they reached, and why some failed."""
    outcomes = make_missing(cells, folder, on=on, display=display)
    failed = {made.cell.name: made.reason for made in outcomes if made.status == "failed"}
    return {cell.name: final_accuracy(cell, folder, failed) for cell in cells}, failed


def rows(
    probe: Probe,
    origin: Origin,
    reached: Mapping[str, float | Undefined],
    diagnosed: Mapping[Path | None, Internals],
) -> list[ProbedModel]:
    """A row for each model of a run.

    `reached` has the final accuracy of every probe by its name, `diagnosed` the internals of every
    model by its folder, and of the base under None.
    """
    seeds = probe.seeds_of(origin)
    base_S = [reached[probe.cell(origin, None, seed).name] for seed in seeds]
    found = []
    for stage, model in origin.models.items():
        after_S = [reached[probe.cell(origin, model, seed).name] for seed in seeds]
        found.append(
            ProbedModel(
                origin=origin,
                stage=stage,
                seeds=seeds,
                accuracy=_mean(after_S),
                base_accuracy=_mean(base_S),
                ratio=_ratio(after_S, base_S),
                internals=diagnosed[model],
                base_internals=diagnosed[None],
                trained_before=probe.domain in origin.stages[:stage],
            )
        )
    return found


def final_accuracy(cell: Cell, folder: Path, failed: Mapping[str, str]) -> float | Undefined:
    """Accuracy on the probe's domain after its last step; `failed` has reasons by name."""
    if cell.name in failed:
        return Undefined(f"the probe {cell.name} failed: {failed[cell.name]}")
    if (state := status(cell, folder)) != "done":
        return Undefined(f"the probe {cell.name} {'is ' * (state != 'diverged')}{state}")
    found = stream_rows(RunDirectory.open(folder / cell.name).table("evaluations"))
    last = found[(found["at"] == "stage-end") & (found["prompt"] == "learner")]
    return float(last["accuracy"].item())


def _ratio(
    after_S: Sequence[float | Undefined], base_S: Sequence[float | Undefined]
) -> Estimate | Undefined:
    """`plasticity_ratio` with its interval over the seeds; one without an accuracy leaves none."""
    if (missing := _missing([*after_S, *base_S])) is not None:
        return missing
    both_S_2 = np.array([after_S, base_S], float).T
    return jackknife(both_S_2, lambda both: plasticity_ratio(both[:, 0], both[:, 1]))


def _mean(accuracy_S: Sequence[float | Undefined]) -> Estimate | Undefined:
    missing = _missing(accuracy_S)
    return over_seeds(dict(enumerate(accuracy_S))) if missing is None else missing


def _missing(values: Sequence[float | Undefined]) -> Undefined | None:
    return next((value for value in values if isinstance(value, Undefined)), None)
