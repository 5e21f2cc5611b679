"""Experiment trackers: a run's rows, sent on to the tool in which people watch their runs.

What is sent and under which names stands in docs/trackers.md. During a run every tracker lives in a
process of its own (`process`), so that nothing it does can change a number of the run or stop it.
accelerate.tracking would bring torch into each of these, and cannot say how a run ended.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol

from cl_bench.contract.errors import UsageError, unknown

PROJECT = "cl-bench"
"""Project or experiment that runs are tracked in, unless the tool's own settings name another."""

Key = Mapping[str, str]
"""What a tool needs to go on with a tracked run."""

_QUIET = {
    "DO_NOT_TRACK": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "WANDB_ERROR_REPORTING": "false",
}
"""What asks the libraries for that; what the environment says already stays."""


@dataclass(frozen=True)
class TrackedRun:
    """A run as trackers are told of it; plain data."""

    name: str
    """That of its directory."""
    stream: str
    learner: str
    config: Mapping[str, str | int | float | bool]
    """The manifest, flattened: `config.learning.group_size`, `provenance.git_commit`, …"""
    folder: str
    """Where a tracker that writes files of its own writes them."""


@dataclass(frozen=True)
class Started:
    """A tracked run that has begun or goes on."""

    key: Key
    where: str
    """A URL, a folder or what else helps people to find it."""


class Tracker(Protocol):
    """One tool. Methods may raise anything: the run goes on without the tracker then."""

    def start(self, run: TrackedRun, key: Key | None) -> Started:
        """Begin a tracked run, or go on with the one of that `key`."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Finite numbers by name, at a training step of the stream. Steps may come twice."""

    def text(self, step: int, name: str, text: str) -> None:
        """A text in Markdown, at a training step."""

    def finish(self, status: str) -> None:
        """Send what is left. `status` is done, diverged, failed or interrupted."""


TRACKERS: Mapping[str, str] = {
    "tensorboard": "TensorBoard",
    "wandb": "Wandb",
    "trackio": "Trackio",
    "mlflow": "MLflow",
}
"""By the name that `--track` takes, its class in `cl_bench.trackers.adapters`.

It is the name of the module that it needs, too, and of the extra that installs that.
"""


def tracker(name: str) -> Tracker:
    """A new tracker of that name; its library is imported when it starts."""
    made: Tracker = getattr(import_module("cl_bench.trackers.adapters"), TRACKERS[name])()
    return made


def hush() -> None:
    """Ask the libraries, by the environment, to report nothing of their own."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)


def installed(name: str) -> bool:
    """Whether the library of a tracker is there; nothing is imported."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return False
    # wandb writes into ./wandb, a folder that Python takes for a package without a file.
    return spec is not None and spec.origin is not None


def chosen(names: str | Iterable[str]) -> tuple[str, ...]:
    """The trackers of those names, each once.

    `UsageError` for an unknown name, and for one whose library is not installed.
    """
    if not isinstance(names, Iterable):
        raise UsageError(
            f"track is {names!r}, but must be the name of a tracker or several: "
            f"{', '.join(TRACKERS)}."
        )
    asked = (names,) if isinstance(names, str) else tuple(names)
    for name in asked:
        if name not in TRACKERS:
            raise unknown("tracker", name, TRACKERS)
        if not installed(name):
            raise UsageError(
                f"The tracker {name!r} needs the package {name}, which is not "
                f"installed: python -m pip install 'cl-bench[{name}]'"
            )
    return tuple(dict.fromkeys(asked))
