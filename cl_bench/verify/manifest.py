"""The manifest: that it says what the checks need, and that it says one thing only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cl_bench.contract.errors import UsageError
from cl_bench.contract.registry import DEFAULT_LEARNER, LEARNERS
from cl_bench.contract.stream import MOST_STAGES
from cl_bench.contract.text import counted, printable
from cl_bench.contract.validation import COUNTS
from cl_bench.execution.settings import RunConfig
from cl_bench.verify.findings import Findings

FILE = "manifest.json"
STATUSES = ("running", "done", "diverged", "failed")
_NEEDED: Mapping[str, type] = {
    "status": str,
    "engine": str,
    "provenance": dict,
    "config_hash": str,
    "stream.name": str,
    "stream.version": str,
    "stream.stages": list,
    "stream.retention": list,
    "config.learner": str,
    "config.learning": dict,
    "config.evaluation": dict,
}
_MAY_MISS: Mapping[str, type] = {
    "provenance.cl_bench": str,
    "provenance.git_commit": str,
    "provenance.git_dirty": bool,
    "provenance.source_hash": str,
    "provenance.packages": dict,
    "plugins": dict,
    "device": str,
    "threads": int,
    "template_variables": dict,
    "reason": str,
}
"""What is null where it is not known."""
_OF_A_DOMAIN: Mapping[str, type] = {"domain": str, "domain_version": str}
_OF_A_STAGE: Mapping[str, type] = {**_OF_A_DOMAIN, "setting": str, "steps": int}
_TWICE = ("learner", "model", "seed")
_KINDS: Mapping[type, str] = {
    str: "a text",
    int: "a whole number",
    dict: "an object",
    list: "a list",
    bool: "true or false",
}


def check_manifest(manifest: Mapping[str, Any], findings: Findings) -> RunConfig | None:
    """Return the configuration, or None if the tables cannot be held against such a manifest.

    Adds faults to `findings`.
    """
    faults = _shape_faults(manifest) or _stream_faults(manifest)
    config: RunConfig | None = None
    if not faults:
        try:
            config = _resolved(manifest["config"])
        except (UsageError, LookupError, TypeError, ValueError) as error:
            faults = [f"config cannot be: {error}"]
        else:
            faults = _contradictions(manifest)
    for fault in faults:
        findings.add(fault, file=FILE)
    return config


def _shape_faults(manifest: Mapping[str, Any]) -> list[str]:
    """The entries that are not of the type that they have to be of."""
    faults = []
    for path, kind in {**_NEEDED, **_MAY_MISS}.items():
        value: Any = manifest
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        if type(value) is not kind and (value is not None or path in _NEEDED):
            faults.append(f"{path} is {_shown(value)}, not {_KINDS[kind]}")
    return faults


def _stream_faults(manifest: Mapping[str, Any]) -> list[str]:
    """Return the faults of the status and of the stream's description."""
    faults = []
    if manifest["status"] not in STATUSES:
        faults.append(f"status is {_shown(manifest['status'])}, none of {', '.join(STATUSES)}")
    stages, outside = manifest["stream"]["stages"], manifest["stream"]["retention"]
    if not 0 < len(stages) <= MOST_STAGES:
        faults.append(f"stream.stages has {counted(len(stages), 'stage')}")
    for number, stage in enumerate(stages, 1):
        if not _describes(stage, _OF_A_STAGE) or not 1 <= stage["steps"] <= COUNTS[1]:
            faults.append(f"stage {number} of the stream is not described")
    for number, domain in enumerate(outside, 1):
        if not _describes(domain, _OF_A_DOMAIN):
            faults.append(f"domain {number} of stream.retention is not described")
    return faults


def _describes(entry: object, kinds: Mapping[str, type]) -> bool:
    return isinstance(entry, dict) and all(type(entry.get(n)) is kind for n, kind in kinds.items())


def _resolved(config: Mapping[str, Any]) -> RunConfig:
    """The configuration, if every setting is one of this version and within its bounds.

    A setting that it lacks was added later, with the default that says what was done before. Of the
    settings of a learner that is not installed nothing is known: they are not read. What cannot be
    raises `UsageError`, `LookupError`, `TypeError` or `ValueError`.
    """
    if config["learner"] not in LEARNERS:
        config = {**config, "learner": DEFAULT_LEARNER, "learning": {}}
    return RunConfig.from_dict(config)


def _contradictions(manifest: Mapping[str, Any]) -> list[str]:
    """Return contradictions of the manifest with itself; and a learner that nobody has."""
    faults = []
    for name in _TWICE:
        outer, inner = manifest.get(name), manifest["config"][name]
        if outer != inner:
            faults.append(f"{name} is {_shown(outer)}, but the configuration says {_shown(inner)}")
    learner = manifest["config"]["learner"]
    if not manifest.get("plugins") and "/" not in learner and learner not in LEARNERS.table:
        faults.append(f"{_shown(learner)} is not a learner of this installation")
    return faults


def is_dirty(manifest: Mapping[str, Any]) -> bool:
    """Whether a run was made by code that differs from its commit."""
    found = manifest.get("provenance")
    return isinstance(found, dict) and bool(found.get("git_dirty"))


def flags(manifest: Mapping[str, Any]) -> list[str]:
    """Return notes for a reader of a run's numbers on how they were made."""
    said = []
    found = manifest.get("provenance")
    if is_dirty(manifest):
        said.append("made from a DIRTY TREE")
    elif not isinstance(found, dict) or not found.get("git_commit"):
        said.append("commit not known")
    if manifest.get("status") in ("diverged", "failed"):
        said.append(f"the run {manifest['status']}")
    plugins = manifest.get("plugins")
    if plugins and isinstance(plugins, dict):
        said.append(f"plug-ins {printable(', '.join(plugins), 100)}")
    return said


def _shown(value: object) -> str:
    return "missing" if value is None else printable(repr(value), 80)
