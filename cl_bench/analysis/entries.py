"""One run as the leaderboard takes it in: what it was asked, how it ended, its numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from cl_bench.analysis.comparability import Setup
from cl_bench.analysis.plugin_metrics import plugin_metrics, plugin_quantity
from cl_bench.analysis.responses import constant_answers
from cl_bench.analysis.run_values import RUN_METRICS, Axis, Column, Measured
from cl_bench.contract.errors import ClBenchError, RunDirectoryError
from cl_bench.contract.registry import LEARNERS
from cl_bench.contract.settings import settings_of
from cl_bench.metrics.arrays import Array
from cl_bench.metrics.quantities import RATIO
from cl_bench.metrics.samples import ConstantAnswer
from cl_bench.metrics.undefined import Undefined, finite
from cl_bench.store.run_tables import RunTables

Settings = tuple[tuple[str, object], ...]
"""Names and values."""
Status = Literal["done", "diverged", "failed", "running", "missing"]
STATUSES: tuple[Status, ...] = get_args(Status)

DAMAGED = (ClBenchError, KeyError, TypeError, ValueError, AttributeError)
"""The errors of reading a run whose files are not those that a run writes."""
_AXES: tuple[Axis, ...] = get_args(Axis)
_NO_SETTING = ("seed",)


@dataclass(frozen=True)
class RunCode:
    """The code that made a run."""

    source_hash: str | None
    dirty: bool
    """Whether its source files differed from the commit."""
    plugins: tuple[str, ...]
    """Name and version of every package that had a part in it."""


@dataclass(frozen=True, eq=False)
class RunEntry:
    """One run; what is not done has no values but a reason."""

    path: Path
    setup: Setup
    learner: str
    settings: Settings
    """Everything about learning that was configured, but the seed."""
    status: Status
    reason: str
    """Why it failed or diverged."""
    values: Mapping[str, float | Undefined]
    """By the names of `RUN_METRICS` and of plug-ins' metrics; empty unless it is done."""
    curves: Mapping[Axis, tuple[Array, Array]]
    """Mean accuracy over the stages at every evaluation, on the problems of `Measured.peak_set`,
    and the samples spent by then; empty unless it is done."""
    constants: Mapping[str, ConstantAnswer]
    """By domain, one answer that earns most of the score at the end and is no knowledge."""
    code: RunCode

    @property
    def seed(self) -> int:
        return self.setup.seed

    def value(self, metric: str) -> float | Undefined:
        """A number, or why there is none."""
        if self.status == "done":
            return self.values.get(metric, Undefined("not measured"))
        return Undefined(f"{_SAID[self.status]}{f': {self.reason}' if self.reason else ''}")


def own_metrics(entries: Iterable[RunEntry]) -> list[str]:
    """The metrics of plug-ins that some of the runs have, by name."""
    return list(
        dict.fromkeys(name for e in entries for name in e.values if name not in RUN_METRICS)
    )


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """Turn what damaged tables or manifests raise into a `RunDirectoryError` that names the run."""
    try:
        yield
    except ClBenchError:
        raise
    except DAMAGED as error:
        raise RunDirectoryError(
            f"{path} cannot be measured ({type(error).__name__}: {error}): its manifest or "
            "tables are not those of a run. Restore it from a copy."
        ) from error


def read_entry(run: RunTables) -> RunEntry:
    """The entry of a run; a damaged table or manifest is a `RunDirectoryError`, `KeyError`, ..."""
    measured = Measured(run)
    manifest = measured.manifest
    status, reason = _ended(manifest)
    values: dict[str, float | Undefined] = {}
    curves: dict[Axis, tuple[Array, Array]] = {}
    constants: dict[str, ConstantAnswer] = {}
    if status == "done":
        if not measured.evaluated:
            raise RunDirectoryError(f"{run.path} is done, but has no evaluation")
        values = {name: finite(metric.value(measured)) for name, metric in RUN_METRICS.items()}
        values |= plugin_metrics(measured.matrix())
        curves = {axis: _curve(measured, axis) for axis in _AXES}
        constants = constant_answers(measured.responses(measured.ends[-1]))
    return RunEntry(
        path=run.path,
        setup=Setup.of(run, manifest),
        learner=str(manifest["learner"]),
        settings=_settings(manifest["config"], str(manifest["learner"])),
        status=status,
        reason=reason,
        values=values,
        curves=curves,
        constants=constants,
        code=_code(manifest),
    )


def _curve(measured: Measured, axis: Axis) -> tuple[Array, Array]:
    accuracy, samples = measured.curve(axis)
    if (samples < 0).any():
        raise ValueError(f"{axis} of the table 'evaluations' holds negative numbers")
    return accuracy, samples


def _ended(manifest: Mapping[str, Any]) -> tuple[Status, str]:
    """Return the run's status and the reason for it; a status that no run writes is a failure."""
    given = manifest["status"]
    status: Status | None = next((s for s in STATUSES if s == given and s != "missing"), None)
    if status is None:
        return "failed", f"its status is {given!r}"
    return status, str(manifest.get("reason") or "") if status != "done" else ""


def _settings(config: Mapping[str, Any], learner: str) -> Settings:
    """Everything about learning but the seed; settings that were added since at their defaults."""
    learning = config["learning"]
    if learner in LEARNERS.table:
        of_now = settings_of(LEARNERS.load(learner).config)
        learning = {item.name: item.default for item in of_now} | learning
    return tuple((name, of) for name, of in learning.items() if name not in _NO_SETTING)


def _code(manifest: Mapping[str, Any]) -> RunCode:
    provenance = manifest.get("provenance") or {}
    return RunCode(
        source_hash=provenance.get("source_hash"),
        dirty=bool(provenance.get("git_dirty")),
        plugins=tuple(f"{name} {of}" for name, of in (manifest.get("plugins") or {}).items()),
    )


_SAID: Mapping[Status, str] = {
    "diverged": "the run diverged",
    "failed": "the run failed",
    "running": "the run is unfinished",
    "missing": "there is no run",
}


PLASTICITY = "plasticity_ratio"
EFFICIENCY: Mapping[str, Axis] = {
    "sample_efficiency": "samples_slow",
    "sample_efficiency_rollouts": "rollouts",
}
"""The axis on which a learner's samples are counted, by metric."""


def columns(plugins: Iterable[str] = ()) -> dict[str, Column]:
    """By name; those of plug-ins' metrics, which are named, come last."""
    found: dict[str, Column] = {}
    for name, metric in RUN_METRICS.items():
        if name == "rollouts":
            found |= _COMPARED
        found[name] = metric
    return found | {name: Column(name, plugin_quantity(name), "neither") for name in plugins}


_COMPARED: Mapping[str, Column] = {
    PLASTICITY: Column("plasticity against the base", RATIO, "higher"),
    "sample_efficiency": Column("sample efficiency, training samples", RATIO, "higher"),
    "sample_efficiency_rollouts": Column("sample efficiency, all rollouts", RATIO, "higher"),
}
"""Numbers of a run that need other runs."""
