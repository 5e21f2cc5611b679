"""A cell of a sweep: everything that determines one run, and the name its directory gets from it.

Equal cells have equal names, so that a run found under a cell's name is that cell's run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cl_bench.contract.errors import RunDirectoryError
from cl_bench.contract.text import config_hash
from cl_bench.store.run_directory import stage_models

_LONGEST_NAME = 60
"""Characters of stream and learner in a directory's name."""


@dataclass(frozen=True)
class Cell:
    """One run of a sweep."""

    stream: str
    learner: str
    seed: int
    steps: int
    """Training steps of every stage; 0 leaves the stream's own."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of `cl_bench.run` that are not at their default."""
    start: Cell | None = None
    """The run whose last stage's model this one starts from; None starts from `model`."""
    model: str = "embedded"

    @property
    def name(self) -> str:
        """The name of the run's directory: for people first, then a hash of everything."""
        words = [self.stream, self.learner, *(["after", self.start.learner] if self.start else [])]
        readable = re.sub(r"[^\w.+-]", "_", "-".join(words))[:_LONGEST_NAME]
        return f"{readable}-{self.seed}-{config_hash(asdict(self))[:8]}"

    def __hash__(self) -> int:
        return hash(self.name)

    def arguments(self, folder: Path) -> dict[str, Any]:
        """Return the arguments of `cl_bench.run`, when the sweep's runs lie in `folder`."""
        return {
            "stream": self.stream,
            "learner": self.learner,
            "seed": self.seed,
            "steps": self.steps or None,
            "model": self._model(folder),
            "out": folder / self.name,
            **self.options,
        }

    def _model(self, folder: Path) -> str:
        if self.start is None:
            return self.model
        origin = folder / self.start.name
        models = stage_models(origin)
        if not models:
            raise RunDirectoryError(
                f"{origin / 'models'} holds no model to start {self.name} from: the run "
                f"{self.start.name} kept none. Make it again with keep_stage_models."
            )
        return str(models[max(models)])


def as_json(cell: Cell) -> str:
    """A cell on one line; `from_json` reads it."""
    return json.dumps(asdict(cell), sort_keys=True, allow_nan=False)


def from_json(line: str) -> Cell:
    """The cell that `as_json` wrote."""
    return _cell(json.loads(line))


def _cell(saved: Mapping[str, Any]) -> Cell:
    start = saved["start"]
    return Cell(**{**saved, "start": None if start is None else _cell(start)})
