"""Probes of plasticity: ordinary runs of RL on one domain, from each model and from its base."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cl_bench.errors import RunDirectoryError, at_least
from cl_bench.limits import SEEDS, whole_number
from cl_bench.metrics.plasticity import plasticity_ratio
from cl_bench.metrics.undefined import Undefined
from cl_bench.models import resolve
from cl_bench.plasticity.origins import Origin, origins
from cl_bench.plasticity.table import Internals, Plasticity, Row
from cl_bench.provenance import file_hashes
from cl_bench.registry import DOMAINS
from cl_bench.results import RunDirectory
from cl_bench.stream import stream
from cl_bench.sweep.cell import Cell
from cl_bench.sweep.pool import make_missing
from cl_bench.sweep.state import status
from cl_bench.views import stream_rows

_OF_LEARNING = (
    "learning_rate",
    "problems_per_step",
    "group_size",
    "ratio_cap",
    "temperature",
    "max_new_tokens",
)
"""Settings of RL that a probe takes over from the run."""


@dataclass(frozen=True)
class Probe:
    """What the probes of one command share."""

    domain: str
    steps: int
    seeds: tuple[int, ...]
    """Empty: those of the runs themselves."""

    def seeds_of(self, origin: Origin) -> tuple[int, ...]:
        """The seeds with which a run's models are probed."""
        return self.seeds or (origin.config.seed,)

    def cell(self, origin: Origin, model: Path | None, seed: int) -> Cell:
        """The run of RL from `model`, or from the base that `origin` started from (None)."""
        config = origin.config
        options = {name: getattr(config.learning, name) for name in _OF_LEARNING}
        measured = {"items": config.evaluation.items, "samples": config.evaluation.samples}
        once = {"eval_every": self.steps, "retention_items": 0, "probes": False}
        where = {"threads": 1, "device": config.device}
        return Cell(
            self.domain,
            "rl",
            seed,
            self.steps,
            {**options, **measured, **once, **where},
            model=config.model if model is None else str(model),
        )

    def cells(self, origin: Origin) -> list[Cell]:
        """All runs that a run's models need: by seed the base's, then those of the stages."""
        models = (None, *origin.models.values())
        return [self.cell(origin, m, seed) for seed in self.seeds_of(origin) for m in models]


def probe_plasticity(
    paths: Sequence[Path],
    domain: str,
    *,
    out: Path,
    jobs: int,
    say: Callable[[str], None],
    steps: int | None = None,
    seeds: Sequence[int] = (),
) -> Plasticity:
    """Probe the models that the runs at `paths` kept, by RL on `domain`, and compare with the base.

    Every probe takes `steps` steps (those of the domain's own stream by default) with the settings
    of RL that its run had. It is made in `out`/runs unless it is finished there. `seeds` are of the
    probes; without any each run's own.
    """
    from cl_bench.plasticity.internals import internals_of

    at_least(jobs=(jobs, 1))
    DOMAINS.load(domain)
    planned = Probe(
        domain,
        stream(domain, steps=steps).steps,
        tuple(dict.fromkeys(whole_number("seeds", seed, SEEDS) for seed in seeds)),
    )
    given = origins(paths, out / "models")
    cells = list(dict.fromkeys(cell for origin in given for cell in planned.cells(origin)))
    folder = out / "runs"
    for cell in cells:
        _require_same_model(cell, folder)
    outcomes = make_missing(cells, folder, jobs=jobs, say=say)
    failed = {made.cell.name: made.reason for made in outcomes if made.status == "failed"}
    reached = {cell.name: final_accuracy(cell, folder, failed) for cell in cells}
    found = []
    for origin in given:
        diagnosed = internals_of(origin, domain, planned.seeds_of(origin)[0])
        found += rows(planned, origin, reached, diagnosed)
    return Plasticity(domain, planned.steps, found, failed)


def rows(
    probe: Probe,
    origin: Origin,
    reached: Mapping[str, float | Undefined],
    diagnosed: Mapping[Path | None, Internals],
) -> list[Row]:
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
            Row(
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
) -> float | Undefined:
    """`plasticity_ratio` over the seeds; a seed without an accuracy leaves none."""
    numbers = [[a for a in of if not isinstance(a, Undefined)] for of in (after_S, base_S)]
    missing = _missing([*after_S, *base_S])
    return plasticity_ratio(*numbers) if missing is None else missing


def _mean(accuracy_S: Sequence[float | Undefined]) -> float | Undefined:
    numbers = [a for a in accuracy_S if not isinstance(a, Undefined)]
    missing = _missing(accuracy_S)
    return sum(numbers) / len(numbers) if missing is None else missing


def _missing(values: Sequence[float | Undefined]) -> Undefined | None:
    return next((value for value in values if isinstance(value, Undefined)), None)


def _require_same_model(cell: Cell, folder: Path) -> None:
    """A cell is named by where its model lies, so that what lies there must be what it was."""
    if status(cell, folder) == "missing":
        return
    before = RunDirectory.open(folder / cell.name).manifest.get("model_files", {})
    if before != file_hashes(Path(resolve(cell.model))):
        raise RunDirectoryError(
            f"{folder / cell.name} is a probe of the model {cell.model}, whose files have changed "
            "since. Remove that directory, or give another --out."
        )
