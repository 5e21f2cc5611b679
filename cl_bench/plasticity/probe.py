"""The probe: one run of RL, with one setting for all models that are compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cl_bench.contract.registry import LEARNERS, REFERENCE_LEARNER
from cl_bench.contract.settings import settings_of
from cl_bench.execution.settings import RunConfig, configure
from cl_bench.plasticity.origins import Origin
from cl_bench.sweep.cell import Cell

_ALWAYS_TOLD = (
    "learning_rate",
    "problems_per_step",
    "group_size",
    "ratio_cap",
    "temperature",
    "max_new_tokens",
)
"""Settings of RL in the options of every probe; others are told where a run has not the usual ones,
so that the names of its probes stay what they were."""
_ADAPTER = ("peft", "lora_rank", "lora_alpha", "lora_targets")
"""Settings that a probe takes from a run that trained an adapter: its rate is one for adapters."""

_OF_THE_MODEL = ("precision", "thinking", "chat_template", "gradient_checkpointing")
"""Settings of the model that a probe takes from a run that has other than the usual ones."""

_SAMPLER = "transformers"
"""What samples in every probe, whatever sampled in the run: a server has one model alone."""


@dataclass(frozen=True)
class Probe:
    """The domain, budget and settings that all probes of one command share."""

    domain: str
    steps: int
    seeds: tuple[int, ...]
    """Empty: those of the runs themselves."""
    options: Mapping[str, Any]
    """Options of `cl_bench.run`: the settings of RL, on what its outcome is scored, and where."""

    @property
    def samples(self) -> int:
        """Rollouts that one probe learns from."""
        return int(self.steps * self.options["problems_per_step"] * self.options["group_size"])

    def seeds_of(self, origin: Origin) -> tuple[int, ...]:
        """The seeds with which a run's models are probed."""
        return self.seeds or (origin.config.seed,)

    def cell(self, origin: Origin, model: Path | None, seed: int) -> Cell:
        """The run of RL from `model`, or from the base that `origin` started from (None)."""
        base = origin.snapshot or origin.config.model
        once = {"eval_every": self.steps, "retention_items": 0, "probes": False}
        return Cell(
            self.domain,
            REFERENCE_LEARNER,
            seed,
            self.steps,
            {**self.options, **once},
            model=str(base if model is None else model),
        )

    def cells(self, origin: Origin) -> list[Cell]:
        """All runs that a run's models need: by seed the base's, then those of the stages."""
        models = (None, *origin.models.values())
        return [self.cell(origin, m, seed) for seed in self.seeds_of(origin) for m in models]


def options_of(
    config: RunConfig, learning_rate: float | None = None, problems_per_step: int | None = None
) -> dict[str, Any]:
    """The options of a probe: those of a run, but for what is given.

    `UsageError` for a number that is out of its range.
    """
    from cl_bench.model.environment import device_named, precision_named  # brings torch

    given = {"learning_rate": learning_rate, "problems_per_step": problems_per_step}
    usual_learning = _usual(config)
    taken = _learning(config) | {n: value for n, value in given.items() if value is not None}
    LEARNERS.load(REFERENCE_LEARNER).config(**taken)
    settings = {n: v for n, v in taken.items() if n in _ALWAYS_TOLD or v != usual_learning[n]}
    measured = {"items": config.evaluation.items, "samples": config.evaluation.samples}
    adapter = {} if config.lora is None else {name: getattr(config, name) for name in _ADAPTER}
    # What a run does by default is left out, so that its probes' names stay what they were.
    usual = ("auto", precision_named("auto", device_named(config.device)))
    other = {name: getattr(config, name) for name in _OF_THE_MODEL}
    told = {name: value for name, value in other.items() if value and value not in usual}
    where = {"threads": 1, "device": config.device}
    return {**settings, **measured, **adapter, **told, **where}


def _usual(config: RunConfig) -> dict[str, Any]:
    """The settings that RL has on the model of a run where none are given."""
    found = configure(learner=REFERENCE_LEARNER, model=config.model, peft=config.peft).learning
    return {item.name: getattr(found, item.name) for item in settings_of(found) if item.rule.option}


def _learning(config: RunConfig) -> dict[str, Any]:
    """The settings of RL of a run; those that its learner does not have are the usual ones."""
    own = vars(config.learning)
    return {name: own.get(name, value) for name, value in _usual(config).items()}


def departures(probe: Probe, origins: Sequence[Origin]) -> Iterator[str]:
    """A line for every run that learned with other settings of RL than its probes do."""
    for origin in origins:
        config = origin.config
        own = {**options_of(config), **_learning(config), "sampler": config.sampler}
        probes = {**_usual(config), "sampler": _SAMPLER, **probe.options}
        names = (*_ALWAYS_TOLD, *_usual(config), *_ADAPTER, *_OF_THE_MODEL, "sampler")
        other = [
            f"{name} {own.get(name, 'none')} (the probes: {probes.get(name, 'none')})"
            for name in dict.fromkeys(names)
            if own.get(name) != probes.get(name)
        ]
        if other:
            yield f"{origin.path} learned with {', '.join(other)}"
