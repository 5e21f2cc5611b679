"""Learners of a sweep that no board will compare, told before their runs are made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from cl_bench.contract.stream_names import OF_A_STREAM, stream
from cl_bench.execution.settings import configure
from cl_bench.sweep.cell import Cell

_MENDS = {
    "training samples of the stages": "--rollouts N gives them as many if every step divides N",
    "training samples between evaluations": "--set LEARNER.eval_every=STEPS makes them equal",
}
"""What learners have in common that a board compares, and how it is given."""


def apart(cells: Iterable[Cell]) -> list[str]:
    """Of every stream whose learners cannot share a board, in what they differ and what to type."""
    by_stream: dict[str, dict[str, Cell]] = defaultdict(dict)
    for cell in cells:
        by_stream[cell.stream].setdefault(cell.learner, cell)
    return [
        f"on {name} no board will compare all learners. Their {words} are {differing}; {mend}."
        for name, by_learner in by_stream.items()
        for (words, mend), differing in zip(
            _MENDS.items(), _differing(list(by_learner.values())), strict=True
        )
        if differing
    ]


def _differing(cells: Sequence[Cell]) -> list[str]:
    """Of each thing in common what each learner has; empty where it is the same for all."""
    by_learner = {cell.learner: _sizes(cell) for cell in cells}
    told = []
    for sizes in zip(*by_learner.values(), strict=True):
        groups: dict[str, list[str]] = defaultdict(list)
        for learner, size in zip(by_learner, sizes, strict=True):
            groups[size].append(learner)
        found = [f"{size} ({', '.join(learners)})" for size, learners in groups.items()]
        told.append(" and ".join(found) if len(found) > 1 else "")
    return told


def _sizes(cell: Cell) -> tuple[str, str]:
    """Training samples of every stage, and between two evaluations."""
    parts = {name: value for name, value in cell.options.items() if name in OF_A_STREAM}
    own = {name: value for name, value in cell.options.items() if name not in parts}
    config = configure(learner=cell.learner, model=cell.model, **own)
    size = config.learning.step_rollouts
    course = stream(cell.stream, steps=cell.steps or None, step_rollouts=size, **parts)
    stages = {f"{stage.steps * size:,}": None for stage in course.stages}
    return " + ".join(stages), f"{config.eval_every * size:,}"
