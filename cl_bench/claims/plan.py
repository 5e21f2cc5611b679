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
from cl_bench.claims.subject import EMBEDDED, Budget, Subject, subject_of
from cl_bench.contract.errors import RunDirectoryError, UsageError, unknown
from cl_bench.sweep.cell import Cell


@dataclass(frozen=True)
class Plan:
    """The cells of the claims' runs under one budget, for some seeds, on one model."""

    budget: Budget
    seeds: tuple[int, ...]
    settings: Settings
    """By learner the options that calibration chose (see `settings.untried` for the others), or
    those of the subject."""
    model: str = EMBEDDED.model

    @property
    def subject(self) -> Subject:
        """The model with the domains that the claims are tried with."""
        return subject_of(self.model)

    def as_dict(self) -> dict[str, Any]:
        """The plan as plain data; `from_dict` reads it."""
        settings = {learner: dict(options) for learner, options in self.settings.items()}
        named = {"budget": self.budget.name, "seeds": list(self.seeds)}
        return {**named, "settings": settings, "model": self.model}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any], file: Path) -> Plan:
        """The plan that `file` holds; `RunDirectoryError` if it is none."""
        try:
            budget = subject_of(saved["model"]).budgets[saved["budget"]]
            seeds = tuple(map(int, saved["seeds"]))
            settings = {learner: dict(saved["settings"][learner]) for learner in saved["settings"]}
            return cls(budget, seeds, settings, saved["model"])
        except (KeyError, TypeError, ValueError, UsageError) as error:
            raise RunDirectoryError(
                f"{file} holds no plan that this cl-bench knows ({error!r}). Restore it from a "
                "copy, or pack the runs again with --archive."
            ) from error

    def single(self, domain: str, learner: str, seed: int, **options: Any) -> Cell:
        """A run on one domain."""
        samples = self.budget.single_samples
        steps = steps_for(samples, self._settings(learner))
        every = max(1, steps // self.subject.evaluations)
        asked: dict[str, Any] = {"eval_every": every}
        if self.subject.names_others:
            asked["retention"] = ",".join(self.subject.others(domain))
        if self._is_origin(domain, learner):
            asked["keep_stage_models"] = True
        return self._cell(domain, learner, seed, samples, {**asked, **options})

    def stream(self, learner: str, seed: int, **options: Any) -> Cell:
        """A run on the stream: one of its board, or evaluated four times in each stage."""
        if self.subject.whole_stream:
            options = {**self._settings(learner), **options}
            return Cell(self.subject.stream, learner, seed, 0, options, model=self.model)
        samples = self.budget.stage_samples
        every = max(1, self.stage_steps(learner) // 4)
        options = {"eval_every": every, **options}
        return self._cell(self.subject.stream, learner, seed, samples, options)

    def single_runs(self, domain: str, learner: str) -> dict[int, Cell]:
        """The runs on one domain by their seeds."""
        return {seed: self.single(domain, learner, seed) for seed in self.seeds}

    def stream_runs(self, learner: str) -> dict[int, Cell]:
        """The runs on the stream by their seeds."""
        return {seed: self.stream(learner, seed) for seed in self.seeds}

    def stage_steps(self, learner: str) -> int:
        """Steps of a learner in a stage of the stream, for its samples."""
        return steps_for(self.budget.stage_samples, self._settings(learner))

    def probe(self, origin: Cell | None, seed: int) -> Cell:
        """Fresh RL on the probe's domain, from a run's last model or from the base."""
        samples = self.budget.stage_samples
        every = max(1, steps_for(samples, self._settings("rl")) // 4)
        options = {"eval_every": every, "retention_items": 0, "probes": False}
        return self._cell(self.subject.probe, "rl", seed, samples, options, origin)

    def _is_origin(self, domain: str, learner: str) -> bool:
        return domain in self.subject.origins and learner in ("rl", "fst")

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
        steps = steps_for(samples, settings)
        every = {"items": self.budget.items, **self.subject.single_options}
        options = {**settings, **every, **options}
        return Cell(stream, learner, seed, steps, options, start, self.model)


def plan(
    budget: str,
    seeds: int | None = None,
    model: str = EMBEDDED.model,
    settings: Settings | None = None,
) -> Plan:
    """The plan of a named budget, with the subject's settings (for the embedded model those that
    calibration chose) unless others are given.

    `UsageError` for an unknown model or budget, no seeds or too many; `RunDirectoryError` for
    settings that are missing.
    """
    subject = subject_of(model)
    if budget not in subject.budgets:
        raise unknown("budget", budget, subject.budgets)
    found = subject.budgets[budget]
    count = found.seeds if seeds is None else seeds
    if not 1 <= count <= len(subject.seeds):
        raise UsageError(
            f"seeds is {count}, but must be from 1 to {len(subject.seeds)}; verdicts need at least "
            "6."
        )
    if settings is None:
        settings = read_settings(SETTINGS) if subject.settings is None else subject.settings
    return Plan(found, subject.seeds[:count], settings, model)


Needs = Callable[[Plan, int], list[Cell]]
"""The runs that a claim needs for one seed."""
Domains = Callable[[Subject], Sequence[str]]
"""Which domains of a subject."""


def on_singles(subject: Subject) -> Sequence[str]:
    """The domains of the claims that average over single runs."""
    return subject.singles


def singles(learners: Sequence[str], domains: Domains = on_singles) -> Needs:
    """A single run of every learner on every domain."""
    return lambda plan, seed: [
        plan.single(domain, name, seed) for domain in domains(plan.subject) for name in learners
    ]


def streams(learners: Sequence[str]) -> Needs:
    """A run of every learner on the stream."""
    return lambda plan, seed: [plan.stream(name, seed) for name in learners]
