"""Cells: equal ones have equal names everywhere, and nothing of them is lost on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cl_bench.contract.errors import RunDirectoryError
from cl_bench.sweep.cell import Cell, as_json, from_json

OPTIONS = {"learning_rate": 6e-4, "eval_every": 20, "probes": False}
ORIGIN = Cell("math", "rl", 100, 40, OPTIONS)


def test_equal_cells_have_equal_names_and_are_one_key() -> None:
    again = Cell("math", "rl", 100, 40, dict(reversed(OPTIONS.items())))
    assert again == ORIGIN
    assert again.name == ORIGIN.name
    assert len({again: 1, ORIGIN: 2}) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"stream": "code"},
        {"learner": "fst"},
        {"seed": 101},
        {"steps": 41},
        {"options": {**OPTIONS, "eval_every": 10}},
        {"start": ORIGIN},
        {"model": "elsewhere"},
    ],
)
def test_every_part_of_a_cell_is_in_its_name(change: dict[str, Any]) -> None:
    parts: dict[str, Any] = {"stream": "math", "learner": "rl", "seed": 100, "steps": 40}
    assert Cell(**{**parts, "options": OPTIONS, **change}).name != ORIGIN.name


def test_names_never_change_are_for_people_first_and_fit_a_file_system() -> None:
    assert ORIGIN.name == "math-rl-100-bf3d1317"
    assert Cell("facts", "rl", 7, 2, {}, ORIGIN).name.startswith("facts-rl-after-rl-7-")
    odd = Cell("a/../b" + "x" * 300, "acme/bandit", 1, 2).name
    assert "/" not in odd
    assert len(odd) < 100


def test_a_cell_survives_the_way_through_json() -> None:
    cell = Cell("facts", "rl", 100, 40, OPTIONS, start=ORIGIN, model="elsewhere")
    line = as_json(cell)
    assert "\n" not in line
    again = from_json(line)
    assert again == cell
    assert again.start == ORIGIN


def test_the_arguments_are_those_of_a_run_in_the_sweeps_folder(tmp_path: Path) -> None:
    assert ORIGIN.arguments(tmp_path) == {
        "stream": "math",
        "learner": "rl",
        "seed": 100,
        "steps": 40,
        "model": "embedded",
        "out": tmp_path / ORIGIN.name,
        **OPTIONS,
    }


def test_a_cell_after_another_starts_from_its_last_model(tmp_path: Path) -> None:
    after = Cell("facts", "rl", 100, 40, {}, ORIGIN)
    with pytest.raises(RunDirectoryError, match=f"the run {ORIGIN.name} kept none"):
        after.arguments(tmp_path)
    models = tmp_path / ORIGIN.name / "models"
    for stage in ("1", "2", "10", "11.unfinished", "10.old.unfinished"):
        (models / f"stage-{stage}").mkdir(parents=True)
    assert after.arguments(tmp_path)["model"] == str(models / "stage-10")
