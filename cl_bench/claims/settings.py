"""The settings with which learners go into the comparison: read, checked, and whose they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cl_bench.claims.calibration import LEARNERS
from cl_bench.contract.errors import RunDirectoryError
from cl_bench.store.files import read_json

Settings = Mapping[str, Mapping[str, Any]]
"""By learner its options."""
INHERITS: Mapping[str, str] = {
    "rl-kl": "rl",
    "rl-replay": "rl",
    "prompt-then-rl": "rl",
    "rl-then-prompt": "rl",
}
"""Learners that calibration does not try, and whose settings they take."""
_WHENCE = "`cl-bench calibrate` chooses them and writes results/calibration/settings.json"


def read_settings(file: Path) -> Settings:
    """The settings in a file that calibration wrote.

    `RunDirectoryError` if it is missing or lacks those of a learner that has trials.
    """
    if not file.exists():
        raise RunDirectoryError(
            f"There is no {file}: no learner has settings yet. {_WHENCE}; copy that file there."
        )
    found = read_json(file)
    options = list(found.values()) if isinstance(found, dict) else []
    if not options or not all(isinstance(each, dict) for each in options):
        raise RunDirectoryError(
            f"{file} is damaged: it does not hold options by learner. {_WHENCE}; copy that file "
            "there."
        )
    lacking = [learner for learner in LEARNERS if learner not in found]
    if lacking:
        raise RunDirectoryError(
            f"{file} has no settings for {', '.join(lacking)}. `cl-bench calibrate --learners "
            f"{','.join(lacking)}` adds them to results/calibration/settings.json; copy that file "
            "there."
        )
    settings: Settings = found
    return settings


def options_of(learner: str, settings: Settings) -> Mapping[str, Any]:
    """A learner's options: its own, or those of the one it inherits from.

    `RunDirectoryError` for a learner that has neither; nobody's settings are guessed.
    """
    owner = learner if learner in settings else INHERITS.get(learner, learner)
    if owner not in settings:
        whose = "" if owner == learner else f", which takes those of {owner}"
        raise RunDirectoryError(
            f"There are no settings for the learner {learner}{whose}; there are for "
            f"{', '.join(settings) or 'none'}. {_WHENCE}."
        )
    return settings[owner]
