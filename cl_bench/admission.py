"""What is checked before a run directory is made or an old one is touched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cl_bench.errors import RunDirectoryError
from cl_bench.prompts import SEED_PROMPT, chat
from cl_bench.provenance import config_hash
from cl_bench.stream import Course

if TYPE_CHECKING:
    from cl_bench.policy import Policy

_PROBLEMS = 256
"""Problems of each split whose length stands for all of them."""
_ADVICE = "Restore it from a copy, or start a new run with another --out."


def require_room(policy: Policy, course: Course, max_new_tokens: int) -> None:
    """Raise `UsageError` if the seed prompt with a problem of `course` exceeds the context."""
    for domain in course.stream.domains:
        task = course.evaluation_task(domain)
        problems = [*task.problems("test", _PROBLEMS), *task.problems("train", _PROBLEMS)]
        chats = [chat(SEED_PROMPT, problem.prompt) for problem in problems]
        policy.require_room(chats, max_new_tokens)


def require_unedited(manifest: Mapping[str, Any], path: Path) -> None:
    """Raise `RunDirectoryError` if stream or configuration are not those the run began with."""
    try:
        described = {name: manifest[name] for name in ("stream", "config")}
        same = config_hash(described) == manifest["config_hash"]
        config = described["config"]
        same = same and all(config[n] == manifest[n] for n in ("learner", "model", "seed"))
        known = manifest["status"] in ("running", "done", "diverged", "failed")
    except (KeyError, TypeError, ValueError) as error:
        raise RunDirectoryError(
            f"{path / 'manifest.json'} was edited or is damaged: {error!r}. {_ADVICE}"
        ) from error
    if not (same and known):
        what = "its stream or configuration no longer has the hash that it names"
        said = what if not same else f"its status is {manifest['status']!r}"
        raise RunDirectoryError(f"{path / 'manifest.json'} was edited: {said}. {_ADVICE}")
