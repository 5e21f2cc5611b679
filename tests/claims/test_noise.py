"""The noise floor of the page: from the items of a run's last evaluation, and from no others."""

from __future__ import annotations

import pytest

from cl_bench.claims.noise import floor, noise_section
from cl_bench.metrics import sampling_noise_floor
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.blocks import Table
from tests.claims.synthetic_stages import Row, Runs, make_plan, row

LAST = [0.25, 0.5, 1.0, 0.75]


def item(number: int, score: float, **changed: object) -> Row:
    kind = {"domain": "facts", "prompt": "learner", "weights": "trained", "test_set": "stream"}
    return {"step": 40, **kind, "uid": f"{number}", "score": score, **changed}


def tables() -> dict[str, list[Row]]:
    """A run whose last evaluation has the items `LAST`; every other kind of row is there too."""
    wanted = [item(number, score) for number, score in enumerate(LAST)]
    others: list[dict[str, object]] = [
        {"step": 0},
        {"domain": "code"},
        {"prompt": "seed"},
        {"weights": "base"},
        {"test_set": "harder"},
    ]
    more = [item(number, 0.5, **changed) for changed in others for number in range(4)]
    evaluations = [{**row(step, "facts", 0.5), "n_samples": 4} for step in (0, 40)]
    return {"items": [*more, *wanted], "evaluations": evaluations}


def test_it_is_of_the_last_evaluation_under_the_runs_own_prompt() -> None:
    plan = make_plan(seeds=[100])
    runs = Runs()
    cell = plan.single("facts", "rl", 100)
    runs.add(cell, **tables())
    assert floor(runs, cell, "facts") == pytest.approx(sampling_noise_floor(LAST, 4))
    assert floor(runs, cell, "math") == Undefined(f"run {cell.name} has no item rows at its end")


def test_the_page_has_a_row_for_every_domain_and_none_without_runs() -> None:
    plan = make_plan(seeds=[100])
    runs = Runs()
    assert noise_section(runs, plan) == []
    runs.add(plan.single("facts", "rl", 100), **tables())
    _, table = noise_section(runs, plan)
    assert isinstance(table, Table)
    assert [line[0] for line in table.rows] == ["facts", "code", "math", "physics"]
    floor_of_rl = sampling_noise_floor(LAST, 4)
    assert isinstance(floor_of_rl, float)
    assert str(table.rows[0][1]).startswith(f"{100 * floor_of_rl:.1f} %")
    assert "is missing" in str(table.rows[0][2])
