"""How things stand with the runs of a sweep: which are there, which are left, which cannot be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cl_bench.api import resolve
from cl_bench.contract.errors import ClBenchError, RunDirectoryError
from cl_bench.contract.text import config_hash
from cl_bench.execution.settings import RunConfig
from cl_bench.fast.settings import reflection_lm
from cl_bench.model import named as models
from cl_bench.model.loading import locate
from cl_bench.store.files import read_json
from cl_bench.store.run_directory import stage_models
from cl_bench.sweep.cell import Cell

FINISHED = ("done", "diverged")
MISSING = "missing"
NO_START = "no start"
"""The status of a cell that starts from a run that diverged: there never is a model for it."""
SETTLED = (*FINISHED, NO_START)
"""Nothing is left to do about a cell of such a status."""
NOTHING: Mapping[str, str] = MappingProxyType({})


def status(cell: Cell, folder: Path, known: Mapping[str, str] = NOTHING) -> str:
    """The status of a cell's run in `folder`; `MISSING` if there is none.

    `known` has statuses of runs that are kept elsewhere, by the cell's name; they count first.
    """
    found = known.get(cell.name) or _recorded(folder / cell.name)
    if found in FINISHED or cell.start is None:
        return found
    lost = why_no_start(cell, status(cell.start, folder, known))
    return found if lost is None else NO_START


def why_no_start(cell: Cell, status_of_start: str) -> str | None:
    """Return why a cell that starts from another one can never be made, or None."""
    if cell.start is None or status_of_start not in ("diverged", NO_START):
        return None
    lost = "diverged" if status_of_start == "diverged" else "has no start itself"
    return f"it starts from {cell.start.name}, which {lost}"


class Freshness:
    """Tells which finished runs in `folder` are those that their cells would make now.

    Each model is read once, so that an object is for one look at a sweep.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._models: dict[str, object] = {}

    def changed(self, cell: Cell) -> str:
        """Return what has changed since the finished run of a cell was made; empty if nothing has.

        Settings that were added since are at their defaults in it. A name says where a model or a
        data file lies, and not what lies there.
        """
        manifest = read_json(self._folder / cell.name / "manifest.json")
        if cell.start and not stage_models(self._folder / cell.start.name):
            return ""  # it was made from a model that is not there any more to be compared
        arguments = cell.arguments(self._folder)
        del arguments["out"]
        asked = resolve(**arguments)
        model = manifest.get("model_revision") or manifest.get("model_files")
        if self._model(asked.config.model) != model:
            return "its model"
        lm = reflection_lm(asked.config.learning)
        if lm.kind == "local" and self._model(lm.name) != manifest.get("reflection_files"):
            return "its reflection LM"
        if _differ(asked.stream.describe(), manifest.get("stream", {})):
            return "its stream"
        try:
            then = asdict(RunConfig.from_dict(manifest["config"]))
        except (ClBenchError, KeyError, TypeError):  # of settings that there are no more
            return "its config"
        now = asdict(asked.config)
        if now["precision"] == "auto":  # a run records what that was
            now["precision"] = then["precision"]
        return "its config" if _differ(now, then) else ""

    def _model(self, name: str) -> object:
        """Return the identity of a model: the hashes of its files, or a hub model's commit."""
        if name not in self._models:
            files = locate(models.resolve(name))
            self._models[name] = files.revision or files.hashes()
        return self._models[name]


def _differ(now: Mapping[str, Any], then: Mapping[str, Any]) -> bool:
    """Whether two descriptions differ, wherever the model lies and the data files are."""
    return config_hash(_placeless(now)) != config_hash(_placeless(then))


def _placeless(described: Any) -> Any:
    if isinstance(described, Mapping):
        return {n: _placeless(v) for n, v in described.items() if n not in ("model", "source")}
    return [*map(_placeless, described)] if isinstance(described, list | tuple) else described


def with_starts(cells: Iterable[Cell]) -> list[Cell]:
    """The different cells, each after the one it starts from."""
    ordered: dict[Cell, None] = {}
    for cell in cells:
        chain = [cell]
        while (before := chain[-1].start) is not None:
            chain.append(before)
        ordered.update(dict.fromkeys(reversed(chain)))
    return list(ordered)


def outlook(
    cells: Sequence[Cell], folder: Path, known: Mapping[str, str] = NOTHING
) -> Iterator[tuple[Cell, str]]:
    """Yield each run that `make_missing` would look at, and what it would do about it."""
    states = {cell: status(cell, folder, known) for cell in with_starts(cells)}
    here = {cell: state for cell, state in states.items() if cell.name not in known}
    left = {*left_of(here, folder)}
    for cell, state in states.items():
        if cell not in left:
            told = "kept" if state in FINISHED else "left out"
            yield cell, f"would be {told} ({state})"
        elif state in FINISHED:
            why = "it is of something else than the command asks for now"
            yield cell, f"would be made again ({why})"
        else:
            yield cell, "would be made" if state == MISSING else f"would be resumed ({state})"


def left_of(states: Mapping[Cell, str], folder: Path) -> list[Cell]:
    """The cells that have no settled run, or one of something else than they would make now.

    Those that start from such a run too: a worker looks again, once it is made.
    """
    fresh, stale = Freshness(folder), set[Cell]()
    for cell, state in states.items():
        if state in FINISHED and (cell.start in stale or fresh.changed(cell)):
            stale.add(cell)
    return [cell for cell, state in states.items() if state not in SETTLED or cell in stale]


def _recorded(run: Path) -> str:
    try:
        return str(read_json(run / "manifest.json")["status"])
    except (RunDirectoryError, KeyError, TypeError):
        return MISSING
