"""What is checked before a run directory is made or an old one is touched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cl_bench.contract.errors import RunDirectoryError
from cl_bench.contract.prompts import chat
from cl_bench.contract.stream import Course

if TYPE_CHECKING:
    from cl_bench.contract.learner import LearnerConfig
    from cl_bench.model.policy import Policy

_PROBLEMS = 256
"""Problems of a domain whose length stands for all of them."""
_NEEDED = (
    *(
        "stream",
        "config",
        "config_hash",
        "status",
        "provenance",
        "plugins",
        "device",
        "engine",
        "threads",
    ),
    *("model_files", "model_revision", "reflection_files"),
)
_STATUSES = ("running", "done", "diverged", "failed")


def require_room(policy: Policy, course: Course, learning: LearnerConfig) -> None:
    """Raise `UsageError` if a training problem under the seed prompt exceeds the context."""
    for domain in course.stream.domains:
        problems = course.evaluation_task(domain).problems("train", _PROBLEMS)
        chats = [chat(learning.seed_prompt, problem.prompt) for problem in problems]
        policy.require_room(chats, learning.max_new_tokens)


def require_whole(manifest: Mapping[str, Any], path: Path) -> None:
    """Raise `RunDirectoryError` if the manifest of the run in `path` lacks what a resume needs."""
    missing = [name for name in _NEEDED if name not in manifest]
    if missing or manifest["status"] not in _STATUSES:
        said = f"it has no {', no '.join(missing)}" if missing else f"status {manifest['status']!r}"
        raise RunDirectoryError(
            f"{path / 'manifest.json'} was edited or is damaged: {said}. Restore it from a copy, "
            "or start a new run with another --out."
        )
