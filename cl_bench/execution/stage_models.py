"""The models of its stages' ends that a run keeps (`keep_stage_models`)."""

from __future__ import annotations

import re
from pathlib import Path


def stage_models(run: Path) -> dict[int, Path]:
    """By the number of a stage, from 1, the folder of the model at its end; in order.

    `run` is the run's directory, which need not exist. Folders that a killed process left while it
    wrote or replaced a model are none.
    """
    folders = (run / "models").glob("stage-*")
    numbered = {re.fullmatch(r"stage-([0-9]+)", folder.name): folder for folder in folders}
    return dict(sorted((int(found[1]), folder) for found, folder in numbered.items() if found))
