"""The manifest: that it says what the checks need, and that it says one thing only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cl_bench.contract.errors import UsageError
from cl_bench.contract.registry import LEARNERS
from cl_bench.contract.text import config_hash, printable
from cl_bench.contract.validation import COUNTS
from cl_bench.execution.settings import RunConfig
from cl_bench.verify.findings import Findings

STATUSES = ("running", "done", "diverged", "failed")
_NEEDED: Mapping[tuple[str, ...], type] = {
    ("learner",): str,
    ("model",): str,
    ("seed",): int,
    ("status",): str,
    ("provenance",): dict,
    ("config_hash",): str,
    ("stream", "name"): str,
    ("stream", "version"): str,
    ("stream", "stages"): list,
    ("stream", "retention"): list,
    ("engine",): str,
    ("config", "learner"): str,
    ("config", "model"): str,
    ("config", "seed"): int,
    ("config", "eval_every"): int,
    ("config", "learning"): dict,
    ("config", "evaluation"): dict,
    ("config", "feedback"): str,
    ("config", "precision"): str,
    ("config", "evaluation", "items"): int,
    ("config", "evaluation", "samples"): int,
    ("config", "evaluation", "kl_items"): int,
    ("config", "evaluation", "probes"): bool,
    ("config", "evaluation", "retention_items"): int,
    ("config", "evaluation", "transcripts"): int,
}
_OF_A_STAGE: Mapping[str, type] = {
    "domain": str,
    "domain_version": str,
    "setting": str,
    "steps": int,
}
_TWICE = ("learner", "model", "seed")
_MAY_MISS: Mapping[tuple[str, ...], type] = {
    ("provenance", "cl_bench"): str,
    ("provenance", "git_commit"): str,
    ("provenance", "git_dirty"): bool,
    ("provenance", "source_hash"): str,
    ("provenance", "packages"): dict,
    ("plugins",): dict,
    ("device",): str,
    ("threads",): int,
    ("reason",): str,
}
"""What is null where it is not known."""
FILE = "manifest.json"
_MOST_STAGES = 100


def check_manifest(manifest: Mapping[str, Any], findings: Findings) -> bool:
    """Whether the tables can be held against the manifest; what is wrong goes to `findings`."""
    before = len(findings.found)
    for path, kind in _NEEDED.items():
        value = _at(manifest, path)
        if type(value) is not kind:
            _add(findings, f"{'.'.join(path)} is {_shown(value)}, not {_KINDS[kind]}")
    for path, kind in _MAY_MISS.items():
        value = _at(manifest, path)
        if value is not None and type(value) is not kind:
            _add(findings, f"{'.'.join(path)} is {_shown(value)}, not {_KINDS[kind]}")
    if len(findings.found) == before:
        _check_numbers(manifest, findings)
    if len(findings.found) > before:
        return False
    _check_sameness(manifest, findings)
    return True


def _check_numbers(manifest: Mapping[str, Any], findings: Findings) -> None:
    if manifest["status"] not in STATUSES:
        _add(findings, f"status is {_shown(manifest['status'])}, none of {', '.join(STATUSES)}")
    _check_config(manifest["config"], findings)
    stages = manifest["stream"]["stages"]
    if not 0 < len(stages) <= _MOST_STAGES:
        _add(findings, f"stream.stages has {len(stages)} stages")
    for number, stage in enumerate(stages, 1):
        fits = isinstance(stage, dict) and all(
            type(stage.get(name)) is kind for name, kind in _OF_A_STAGE.items()
        )
        if not fits or not 1 <= stage["steps"] <= COUNTS[1]:
            _add(findings, f"stage {number} of the stream is not described")
    for number, domain in enumerate(manifest["stream"]["retention"], 1):
        if not isinstance(domain, dict) or any(
            type(domain.get(name)) is not str for name in ("domain", "domain_version")
        ):
            _add(findings, f"domain {number} of stream.retention is not described")


def _check_config(config: Mapping[str, Any], findings: Findings) -> None:
    """Every setting is one of this version, within its bounds; of a learner that is not installed
    nothing is known."""
    if config["learner"] not in LEARNERS:
        return
    try:
        RunConfig.from_dict(config)
    except (UsageError, TypeError, ValueError) as error:
        _add(findings, f"config cannot be: {error}")


def _check_sameness(manifest: Mapping[str, Any], findings: Findings) -> None:
    """What the manifest says twice is the same, and its hash is that of its configuration."""
    for name in _TWICE:
        outer, inner = manifest[name], manifest["config"][name]
        if outer != inner:
            _add(findings, f"{name} is {_shown(outer)}, but the configuration says {_shown(inner)}")
    described = {name: manifest[name] for name in ("stream", "config")}
    if config_hash(described) != manifest["config_hash"]:
        _add(findings, "config_hash is not that of stream and configuration: they were edited")


def flags(manifest: Mapping[str, Any]) -> list[str]:
    """What a reader of a run's numbers should know about how they were made."""
    found: Any = manifest.get("provenance")
    found = found if isinstance(found, dict) else {}
    said = []
    if found.get("git_dirty"):
        said.append("made from a DIRTY TREE")
    elif not found.get("git_commit"):
        said.append("commit not known")
    if manifest.get("status") in ("diverged", "failed"):
        said.append(f"the run {manifest['status']}")
    plugins = manifest.get("plugins")
    if plugins and isinstance(plugins, dict):
        said.append(f"plug-ins {printable(', '.join(plugins), 100)}")
    return said


def _at(found: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _add(findings: Findings, reason: str) -> None:
    findings.add(reason, file=FILE)


def _shown(value: object) -> str:
    return "missing" if value is None else printable(repr(value), 80)


_KINDS: Mapping[type, str] = {
    str: "a text",
    int: "a whole number",
    dict: "an object",
    list: "a list",
    bool: "true or false",
    float: "a number with a point",
}
