"""The key that makes two runs comparable: stream, test problems, sampler, model, budget."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from cl_bench.analysis.run_values import METRIC_VERSION
from cl_bench.contract.errors import RunDirectoryError
from cl_bench.contract.text import config_hash, printable
from cl_bench.store.run_tables import RunTables, rows_of

_STAGE = {"domain": "domain", "domain_version": "domain version", "setting": "setting"}
_CONDITIONS = {"feedback": "feedback", "announced": "announced boundaries"}
_SEED = "seed prompt"
_DATE = "date in the prompts"
_TOLD = "told to the chat template"
_ADAPTER = "adapter"
_SAMPLER = {
    "temperature": "temperature",
    "max_new_tokens": "longest response in tokens",
    "items": "test problems of a domain",
    "samples": "samples of a problem",
    "retention_items": "problems of a domain outside the stream",
    "kl_items": "problems of a domain that KL is measured on",
}
VALIDATION = "validation problems of a domain"
_NEITHER = {_DATE: "none", _TOLD: "nothing", _ADAPTER: "none", VALIDATION: "none"}
"""What a run has, in words, that lacks these facts: those are of some runs alone."""
_ALL = "all"
"""How many of them KL is measured on without a limit."""
_EVERY = "training samples between evaluations"
_OUTSIDE = "domains outside the stream"

Facts = tuple[tuple[str, Any], ...]
"""Names, in words, and values."""


@dataclass(frozen=True)
class Key:
    """The facts that runs have in common where they are ranked together, seeds apart.

    Equal and hashable by what counts: a model is its files, wherever they lie.
    """

    stream: str
    """Name of the stream."""
    version: str
    """Version of the stream."""
    stages: tuple[Facts, ...]
    """Domain, version of the domain and setting of every stage. How many steps it takes is the
    learner's affair: what it may spend in it is the budget."""
    conditions: Facts
    """Level of feedback, announced boundaries, seed prompt, precision, the adapter if one is
    trained, the date that a chat template is told which asks for it, and what else it is told."""
    sampler: Facts
    """How test problems are asked: by which engine, temperature, longest response, problems,
    samples, how often, and of which domains outside the stream."""
    budget: tuple[int, ...]
    """Training samples of every stage: steps × problems of a step × group size."""
    model: str
    """Hash of the model's files."""
    metric_version: int = METRIC_VERSION
    """`cl_bench.analysis.run_values.METRIC_VERSION` of the code that measures."""
    model_name: str = field(default="", compare=False)
    """The model by the name that the run was given."""

    def differences(self, other: Key) -> list[str]:
        """Return why runs of the two are not compared, a line each; empty if they are equal."""
        return [f"{what} {mine} against {theirs}" for what, mine, theirs in self._unequal(other)]

    def differing(self, other: Key) -> tuple[str, ...]:
        """The names of what differs."""
        return tuple(what for what, _, _ in self._unequal(other))

    def words(self) -> tuple[str, ...]:
        """The key in words, a fact each."""
        asked = [f"{name} {value}" for name, value in self.sampler]
        told = [f"{name} {_plain(value)}" for name, value in self.conditions]
        return (
            f"stream {self.stream}, version {self.version}",
            f"stages: {', '.join(map(_stage, self.stages))}",
            f"training samples {_sum(self.budget)}",
            f"model {self._model()}",
            *told,
            *asked,
            f"metric version {self.metric_version}",
        )

    def _unequal(self, other: Key) -> Iterable[tuple[str, object, object]]:
        """The names of differing facts, and the value of either, in words."""
        pairs: list[tuple[str, object, object]] = [
            ("stream", self.stream, other.stream),
            ("stream version", self.version, other.version),
        ]
        if len(self.stages) == len(other.stages):
            for number, stages in enumerate(zip(self.stages, other.stages, strict=True), 1):
                domain = dict(stages[0])["domain"]
                pairs += _facts(*stages, f" of stage {number} ({domain})")
        else:
            pairs.append(("number of stages", len(self.stages), len(other.stages)))
        pairs += _facts(self.conditions, other.conditions)
        pairs += _facts(self.sampler, other.sampler)
        pairs += [("training samples", _sum(self.budget), _sum(other.budget))]
        if self.model != other.model:
            pairs.append(("model", self._model(), other._model()))
        pairs.append(("metric version", self.metric_version, other.metric_version))
        return [
            (what, _plain(mine), _plain(theirs)) for what, mine, theirs in pairs if mine != theirs
        ]

    def _model(self) -> str:
        return f"{self.model_name} ({self.model})" if self.model_name else self.model


def key_of(manifest: Mapping[str, Any]) -> Key:
    """The key of a run from its manifest alone."""
    stream, config = manifest["stream"], manifest["config"]
    learning, evaluation = config["learning"], config["evaluation"]
    sampled = {name: learning[name] for name in ("temperature", "max_new_tokens")}
    evaluation = {**evaluation, **sampled, "kl_items": evaluation["kl_items"] or _ALL}
    per_step = int(learning["problems_per_step"]) * int(learning["group_size"])
    steps = [int(stage["steps"]) for stage in stream["stages"]]
    asked = stream["retention"] if evaluation["retention_items"] else ()
    outside = [f"{one['domain']} (version {one['domain_version']})" for one in asked]
    model = Path(str(manifest["model"]))  # of a folder somewhere the last part is its name
    return Key(
        stream=str(stream["name"]),
        version=str(stream["version"]),
        stages=tuple(
            tuple((words, stage.get(name)) for name, words in _STAGE.items())
            for stage in stream["stages"]
        ),
        conditions=(
            *((words, config[name]) for name, words in _CONDITIONS.items()),
            (_SEED, learning["seed_prompt"]),
            ("precision", config["precision"]),
            *(((_ADAPTER, adapter),) if (adapter := _adapter_of(config)) else ()),
            *(((_DATE, date),) if (date := manifest.get("prompt_date")) else ()),
            *(((_TOLD, told),) if (told := _told(manifest)) else ()),
        ),
        sampler=(
            ("engine", manifest["engine"]),
            *((words, evaluation[name]) for name, words in _SAMPLER.items()),
            *(((VALIDATION, peaks),) if (peaks := evaluation.get("validation_items")) else ()),
            (_EVERY, int(config["eval_every"]) * per_step),
            (_OUTSIDE, ", ".join(sorted(outside)) or "none"),
        ),
        budget=tuple(count * per_step for count in steps),
        model=_model_of(manifest),
        model_name=model.name if model.is_absolute() else str(manifest["model"]),
    )


def items_of(run: RunTables) -> dict[str, str]:
    """By domain of the stream, a hash of the test problems that the run was asked.

    Empty for a run without its first evaluation.
    """
    columns = ("domain", "uid", "test_set")
    uids: dict[str, set[str]] = {}
    for domain, uid, test_set in set(rows_of(run, "items", columns, first=True)):
        if test_set == "stream":
            uids.setdefault(domain, set()).add(uid)
    texts = {domain: "\n".join(sorted(uids[domain])) for domain in sorted(uids)}
    return {
        domain: sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        for domain, text in texts.items()
    }


@dataclass(frozen=True)
class Setup:
    """The questions to one run: its key, its seed, and the test problems that go with the seed."""

    key: Key
    seed: int
    items: Mapping[str, str] = field(compare=False)
    """By domain, the hash of `items_of`."""

    @classmethod
    def of(cls, run: RunTables, manifest: Mapping[str, Any] | None = None) -> Setup:
        """Of a run, finished or not; `manifest` is its own, if it was read already."""
        manifest = run.manifest if manifest is None else manifest
        return cls(key_of(manifest), int(manifest["seed"]), items_of(run))

    def differences(self, other: Setup) -> list[str]:
        """Those of the keys, and the domains on which runs of one seed have other problems."""
        return self.key.differences(other.key) + other_items(self, other)


def other_items(first: Setup, second: Setup) -> list[str]:
    """A line for every domain on which two runs of one seed were asked different test problems."""
    if first.seed != second.seed:
        return []
    shared = [domain for domain in first.items if domain in second.items]
    return [
        f"test problems of {domain} with seed {first.seed} "
        f"{first.items[domain]} against {second.items[domain]} (hashes)"
        for domain in shared
        if first.items[domain] != second.items[domain]
    ]


def differences(first: Iterable[RunTables], second: Iterable[RunTables]) -> list[str]:
    """Everything that keeps two groups of runs from being compared, a line each, once.

    Empty when they compare. Seeds may differ; where they are the same, so must the problems be.
    """
    others = [Setup.of(run) for run in second]
    lines = [line for run in first for other in others for line in Setup.of(run).differences(other)]
    return list(dict.fromkeys(lines))


def _stage(stage: Facts) -> str:
    """`math (version 1, default)`."""
    facts = dict(stage)
    version = facts["domain version"]
    known = "" if version is None else f"version {version}, "
    return f"{facts['domain']} ({known}{facts['setting']})"


def _facts(mine: Facts, theirs: Facts, where: str = "") -> list[tuple[str, object, object]]:
    one, other = dict(mine), dict(theirs)
    return [
        (f"{name}{where}", one.get(name, _NEITHER.get(name)), other.get(name, _NEITHER.get(name)))
        for name in one | other
    ]


def _adapter_of(config: Mapping[str, Any]) -> str:
    """The adapter that was trained, in words; empty where all parameters were."""
    if config.get("peft", "none") == "none":
        return ""
    size = f"rank {config['lora_rank']}, alpha {config['lora_alpha']:g}"
    return f"{config['peft']} ({size}, {config['lora_targets']})"


def _told(manifest: Mapping[str, Any]) -> str:
    """What a run told its chat template, in words; empty of one that left it to itself."""
    told = manifest.get("template_variables") or {}
    return ", ".join(f"{name} {json.dumps(told[name])}" for name in sorted(told))


def _model_of(manifest: Mapping[str, Any]) -> str:
    """Models are one if their files are."""
    files = manifest.get("model_files")
    if not files:
        raise RunDirectoryError(
            f"A run of the model {printable(str(manifest['model']), 100)} does not say which files "
            "it had, so it cannot be told from runs of another model. Make it again."
        )
    return config_hash(files)[:12]


def _plain(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "not recorded" if value is None else value


def _sum(amounts: Iterable[int]) -> str:
    return " + ".join(f"{amount:,}" for amount in amounts)
