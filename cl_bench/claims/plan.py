"""The plan: the seeds and budgets of a reproduction, and the runs that a claim can ask for.

Cells are named by what they contain, so that claims share runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cl_bench.claims.calibration import SETTINGS, steps_for
from cl_bench.claims.settings import Settings, options_of, read_settings
from cl_bench.contract.errors import RunDirectoryError, UsageError, unknown
from cl_bench.contract.plugins import STREAM_SEPARATOR
from cl_bench.sweep.cell import Cell

SEEDS = (
    *(100, 102, 103, 104, 105, 106, 107, 108, 109, 111),
    *(112, 114, 115, 116, 118, 121, 123, 124, 125, 126),
)
"""The seeds of the claims, in order. They and the seeds of calibration and development give all
different conventions in every domain (but star-graph, which has one convention)."""
SINGLE_DOMAINS = ("facts", "code", "math")
"""Domains of the claims that average over single runs, as the paper has them."""
KL_DOMAINS = (*SINGLE_DOMAINS, "physics")
ORIGINS = ("math", "physics")
"""Where the models of the plasticity probe come from."""
PROBE = "facts"
STREAM = "facts-to-code-to-physics"
STAGES = tuple(STREAM.split(STREAM_SEPARATOR))
"""The domains of the stream."""
STREAM_LEARNERS = ("rl", "prompt", "fst")
EVALUATIONS = 12
"""Evaluations in a single run, besides the one before training."""


@dataclass(frozen=True)
class Budget:
    """How much the runs of a reproduction may cost."""

    name: str
    seeds: int
    """Seeds of every comparison, unless others are asked for."""
    single_samples: int
    """RL rollouts in a single run."""
    stage_samples: int
    """RL rollouts in a stage of the stream, and in a plasticity probe."""
    items: int
    """Test problems per domain."""


BUDGETS: Mapping[str, Budget] = {
    "small": Budget("small", seeds=2, single_samples=3_072, stage_samples=2_560, items=32),
    "full": Budget("full", seeds=6, single_samples=7_680, stage_samples=5_120, items=64),
}


@dataclass(frozen=True)
class Plan:
    """The cells of the claims' runs under one budget, for some seeds, on one model."""

    budget: Budget
    seeds: tuple[int, ...]
    settings: Settings
    """By learner the options that calibration chose (see `settings.untried` for the others)."""
    model: str = "embedded"

    def as_dict(self) -> dict[str, Any]:
        """The plan as plain data; `from_dict` reads it."""
        settings = {learner: dict(options) for learner, options in self.settings.items()}
        named = {"budget": self.budget.name, "seeds": list(self.seeds)}
        return {**named, "settings": settings, "model": self.model}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any], file: Path) -> Plan:
        """The plan that `file` holds; `RunDirectoryError` if it is none."""
        try:
            budget, seeds = BUDGETS[saved["budget"]], tuple(map(int, saved["seeds"]))
            settings = {learner: dict(saved["settings"][learner]) for learner in saved["settings"]}
            return cls(budget, seeds, settings, saved["model"])
        except (KeyError, TypeError, ValueError) as error:
            raise RunDirectoryError(
                f"{file} holds no plan that this cl-bench knows ({error!r}). Restore it from a "
                "copy, or pack the runs again with --archive."
            ) from error

    def single(self, domain: str, learner: str, seed: int, **options: Any) -> Cell:
        """A run on one domain."""
        samples = self.budget.single_samples
        steps = steps_for(samples, self._settings(learner))
        every = max(1, steps // EVALUATIONS)
        kept = {"keep_stage_models": True} if self._is_origin(domain, learner) else {}
        return self._cell(domain, learner, seed, samples, {"eval_every": every, **kept, **options})

    def stream(self, learner: str, seed: int, **options: Any) -> Cell:
        """A run on facts → code → physics, evaluated four times in each stage."""
        samples = self.budget.stage_samples
        every = max(1, self.stage_steps(learner) // 4)
        return self._cell(STREAM, learner, seed, samples, {"eval_every": every, **options})

    def single_runs(self, domain: str, learner: str) -> dict[int, Cell]:
        """The runs on one domain by their seeds."""
        return {seed: self.single(domain, learner, seed) for seed in self.seeds}

    def stream_runs(self, learner: str) -> dict[int, Cell]:
        """The runs on the stream by their seeds."""
        return {seed: self.stream(learner, seed) for seed in self.seeds}

    def stage_steps(self, learner: str) -> int:
        """Steps of a learner in a stage of the stream."""
        return steps_for(self.budget.stage_samples, self._settings(learner))

    def probe(self, origin: Cell | None, seed: int) -> Cell:
        """Fresh RL on the probe's domain, from a run's last model or from the base."""
        samples = self.budget.stage_samples
        every = max(1, steps_for(samples, self._settings("rl")) // 4)
        options = {"eval_every": every, "retention_items": 0, "probes": False}
        return self._cell(PROBE, "rl", seed, samples, options, origin)

    def _is_origin(self, domain: str, learner: str) -> bool:
        return domain in ORIGINS and learner in ("rl", "fst")

    def _settings(self, learner: str) -> Mapping[str, Any]:
        return options_of(learner, self.settings)

    def _cell(
        self,
        stream: str,
        learner: str,
        seed: int,
        samples: int,
        options: Mapping[str, Any],
        start: Cell | None = None,
    ) -> Cell:
        settings = self._settings(learner)
        every = {"items": self.budget.items, "threads": 1}
        steps = steps_for(samples, settings)
        options = {**settings, **every, **options}
        return Cell(stream, learner, seed, steps, options, start, self.model)


def plan(
    budget: str, seeds: int | None = None, model: str = "embedded", settings: Settings | None = None
) -> Plan:
    """The plan of a named budget, with the settings that calibration chose unless others are given.

    `UsageError` for an unknown budget, no seeds or too many; `RunDirectoryError` for settings that
    are missing.
    """
    if budget not in BUDGETS:
        raise unknown("budget", budget, BUDGETS)
    found = BUDGETS[budget]
    count = found.seeds if seeds is None else seeds
    if not 1 <= count <= len(SEEDS):
        raise UsageError(
            f"seeds is {count}, but must be from 1 to {len(SEEDS)}; verdicts need at least 6."
        )
    chosen = SEEDS[:count]
    return Plan(found, chosen, read_settings(SETTINGS) if settings is None else settings, model)


Needs = Callable[[Plan, int], list[Cell]]
"""The runs that a claim needs for one seed."""


def singles(domains: Sequence[str], learners: Sequence[str]) -> Needs:
    """A single run of every learner on every domain."""
    return lambda plan, seed: [plan.single(d, name, seed) for d in domains for name in learners]


def streams(learners: Sequence[str]) -> Needs:
    """A run of every learner on the stream."""
    return lambda plan, seed: [plan.stream(name, seed) for name in learners]
