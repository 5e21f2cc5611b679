"""The settings with which learners go into the comparison: read, checked, and whose they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cl_bench.contract.errors import RunDirectoryError
from cl_bench.contract.registry import LEARNERS, REFERENCE_LEARNER
from cl_bench.store.files import read_json

Settings = Mapping[str, Mapping[str, Any]]
"""By learner its options."""
CLAIMED = ("rl", "prompt", "fst", "fst-distill")
"""The learners that the claims compare, which all have settings."""
_WHENCE = "`cl-bench calibrate` chooses them and writes results/calibration/settings.json"


def read_settings(file: Path) -> Settings:
    """The settings in a file that calibration wrote.

    `RunDirectoryError` if it is missing or lacks those of a learner that the claims compare.
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
    lacking = [learner for learner in CLAIMED if learner not in found]
    if lacking:
        raise RunDirectoryError(
            f"{file} has no settings for {', '.join(lacking)}. `cl-bench calibrate --learners "
            f"{','.join(lacking)}` adds them to results/calibration/settings.json; copy that file "
            "there."
        )
    settings: Settings = found
    return settings


def untried() -> tuple[str, ...]:
    """The built-in learners that no claim compares and that take the reference learner's settings,
    of which they have all, unless they have their own."""
    reference = LEARNERS.load(REFERENCE_LEARNER).config
    return tuple(
        name
        for name in LEARNERS.table
        if name not in CLAIMED and issubclass(LEARNERS.load(name).config, reference)
    )


def options_of(learner: str, settings: Settings) -> Mapping[str, Any]:
    """A learner's options: its own, or those of the one it inherits from.

    `RunDirectoryError` for a learner that has neither; nobody's settings are guessed.
    """
    inherits = learner not in settings and learner in untried()
    owner = REFERENCE_LEARNER if inherits else learner
    if owner not in settings:
        whose = "" if owner == learner else f", which takes those of {owner}"
        raise RunDirectoryError(
            f"There are no settings for the learner {learner}{whose}; there are for "
            f"{', '.join(settings) or 'none'}. {_WHENCE}."
        )
    return settings[owner]
