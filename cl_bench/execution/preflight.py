"""Checks before a run directory is made, or before an old run goes on.

A run's numbers depend on its model, on the versions of what computes them, on its device and on the
number of threads. A resume takes the recorded number of threads by itself and refuses any other
difference, because rows that were made under two of them belong to no single run.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from cl_bench.contract.errors import (
    ModelError,
    OtherSoftwareError,
    RunDirectoryError,
    UsageError,
)
from cl_bench.contract.learner import LearnerConfig
from cl_bench.contract.plugins import Plugin
from cl_bench.contract.prompts import chat
from cl_bench.contract.registry import DOMAINS, LEARNERS
from cl_bench.contract.stream import Course, Stream
from cl_bench.contract.stream_names import STREAMS
from cl_bench.contract.task import judged
from cl_bench.execution.provenance import code_hash
from cl_bench.fast.reflection.spec import ReflectionLM
from cl_bench.model.loading import locate
from cl_bench.model.named import resolve
from cl_bench.model.policy import Policy

_PROBLEMS = 256
"""Problems of a domain whose lengths stand for those of all its problems."""
_JUDGED = 16
"""Of these, those whose solutions are judged before a run that learns from them."""
_NEEDED = (
    *("stream", "config", "config_hash", "status", "provenance", "plugins"),
    *("device", "engine", "threads", "model_files", "model_revision", "reflection_files"),
    *("prompt_date", "plugin_code"),
)
_STATUSES = ("running", "done", "diverged", "failed")


def require_room(policy: Policy, course: Course, learning: LearnerConfig) -> None:
    """Raise `UsageError` if a training problem under the seed prompt exceeds the context."""
    for task in course.trained.values():
        problems = task.problems("train", _PROBLEMS)
        chats = [chat(learning.seed_prompt, problem.prompt) for problem in problems]
        policy.require_room(chats, learning.max_new_tokens)


def require_solutions(
    policy: Policy, course: Course, learner: str, learning: LearnerConfig
) -> None:
    """Raise `UsageError` if a training problem of the stream has no solution that can be learned.

    It needs one that a model could say, that is judged right as a response, and that stays within
    the context after the seed prompt.
    """
    for (domain, _), task in course.trained.items():
        problems = task.problems("train", _PROBLEMS)
        for number, problem in enumerate(problems):
            fault = ""
            if not (problem.solution and problem.exemplary):
                fault = "a problem has none to show"
            elif number < _JUDGED:
                verdict = judged(partial(task.verify, problem), problem.solution, truncated=False)
                fault = f"one is judged {verdict.score:.10g}" if verdict.score < 1 else ""
            if fault:
                raise UsageError(
                    f"{learner} learns from solutions, but of those of {domain} {fault} "
                    f"({problem.uid}). Train on domains whose problems have solutions, or take a "
                    "learner that learns from scores, such as rl."
                )
        chats = [chat(learning.seed_prompt, problem.prompt) for problem in problems]
        solutions = policy.response_tokens([problem.solution for problem in problems])
        for asked, solution in zip(policy.encode(chats), solutions, strict=True):
            policy.require_solution_fits(asked, solution)


def require_whole(manifest: Mapping[str, Any], path: Path) -> None:
    """Raise `RunDirectoryError` if the manifest of the run in `path` lacks what a resume needs."""
    missing = [name for name in _NEEDED if name not in manifest]
    if missing or manifest["status"] not in _STATUSES:
        said = f"it has no {', no '.join(missing)}" if missing else f"status {manifest['status']!r}"
        raise RunDirectoryError(
            f"{path / 'manifest.json'} was edited or is damaged: {said}. Restore it from a copy, "
            "or start a new run with another --out."
        )


def identity(lm: ReflectionLM, policy: Policy) -> dict[str, Any]:
    """Return what identifies the models, and where the run takes place, for the manifest.

    Models are identified by the hashes of their files. With these are the tokens that end a
    response. Raises `ModelError` for a model without files.
    """
    files = policy.files
    if files is None:
        raise ModelError("A run needs a model that was loaded from files: use `Policy.load`.")
    return {
        "model_files": files.hashes(),
        "reflection_files": locate(resolve(lm.name)).hashes() if lm.kind == "local" else {},
        "model_revision": files.revision,
        "prompt_date": policy.settled_template.date,
        "template_variables": dict(policy.settled_template.variables),
        "stop_tokens": policy.stop_tokens,
        "device": policy.device.type,
        "engine": policy.sampler.engine,
        "threads": torch.get_num_threads(),
    }


def require_same_model(manifest: Mapping[str, Any], found: Mapping[str, Any], path: Path) -> None:
    """Raise `RunDirectoryError` if the model or the device is not the one the run began with."""
    for name in ("model_files", "model_revision", "reflection_files"):
        if manifest[name] != found[name] or not manifest["model_files"]:
            raise RunDirectoryError(
                f"A model of the run in {path} has changed since it began ({name} differ). "
                "Give it back its files, or start a new run with another --out."
            )
    for name in ("device", "engine", "prompt_date"):
        if manifest[name] != found[name]:
            raise RunDirectoryError(
                f"The run in {path} began with {name} {manifest[name]!r}, and here it would go on "
                f"with {found[name]!r}, which gives other numbers. Resume it where it began, or "
                "start a new run with another --out."
            )


def require_same_software(manifest: Mapping[str, Any], now: Mapping[str, Any], path: Path) -> None:
    """Raise `OtherSoftwareError` if versions differ: of packages, Python, cl-bench or a domain.

    `now` is the result of `provenance()`.
    """
    began = manifest["provenance"]
    pairs = {name: (began["packages"].get(name), v) for name, v in now["packages"].items()}
    others = {"cl_bench": "cl-bench", "python": "Python", "source_hash": "code"}
    for name, label in others.items():
        pairs[label] = (began[name], now[name])
    stream = manifest["stream"]
    for one in (*stream["stages"], *stream["retention"]):
        domain = DOMAINS.load(one.get("source") or one["domain"])
        pairs[f"domain {one['domain']}"] = (one["domain_version"], domain.version)
    differing = [f"{n} {old} (now {new})" for n, (old, new) in pairs.items() if old != new]
    if differing:
        raise OtherSoftwareError(
            f"The run in {path} began with other versions: {', '.join(differing)}. Install those "
            "to go on with it, or start a new run with another --out."
        )


def used_plugins(stream: Stream, learner: str) -> dict[str, dict[str, str]]:
    """Return what a manifest says of the plug-in packages that such a run uses.

    `plugins` has their versions, by name; `plugin_code` the hashes of their code, which a package
    that is being worked on changes without another version.
    """
    found = [
        STREAMS.plugin(stream.name),
        *map(DOMAINS.plugin, (*stream.domains, *stream.outside)),
        LEARNERS.plugin(learner),
    ]
    plugins = [plugin for plugin in found if plugin is not None]
    return {
        "plugins": {plugin.package: plugin.version for plugin in plugins},
        "plugin_code": {plugin.package: _code_of(plugin) for plugin in plugins},
    }


def _code_of(plugin: Plugin) -> str:
    return code_hash([plugin.value.partition(":")[0].partition(".")[0].strip()])


def require_same_plugins(
    path: Path, manifest: Mapping[str, Any], now: Mapping[str, Mapping[str, str]]
) -> None:
    """Raise `RunDirectoryError` unless the run in `path` finds the plug-ins it began with.

    `now` is the result of `used_plugins`.
    """
    for package, version in manifest["plugins"].items():
        found = now["plugins"].get(package)
        if found != version:
            kind = RunDirectoryError if found is None else OtherSoftwareError
            raise kind(
                f"The run in {path} was begun with {package} {version}, which is now "
                f"{found or 'not installed'}. `pip install {package}=={version}`, or start a new "
                "run with another --out."
            )
        if manifest["plugin_code"].get(package) != now["plugin_code"][package]:
            raise OtherSoftwareError(
                f"The code of {package} {version} has changed since the run in {path} began. Give "
                "it back, or start a new run with another --out."
            )
