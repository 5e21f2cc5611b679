"""The spending of runs by kind and learner, from the last rows of their ledgers."""

from __future__ import annotations

import pytest

from cl_bench.claims.spending import Spent, costs_differ, spending, spending_section
from cl_bench.report.blocks.blocks import Paragraph, Table
from cl_bench.report.blocks.write_markdown import markdown
from cl_bench.sweep.cell import Cell
from tests.claims.synthetic_stages import Row, Runs, make_plan

PLAN = make_plan(seeds=[100, 101])


def ledger(step: int, slow: int, fast: int) -> list[Row]:
    """Rows of a run at a step; 10 tokens read and 5 sampled for a rollout, 7 by reflection."""
    shared: Row = {"step": step, "reflection_tokens": 0}
    return [
        {
            **shared,
            "channel": channel,
            "rollouts": count,
            "prompt_tokens": 10 * count,
            "generated_tokens": 5 * count,
            "reflection_tokens": 7 if channel == "fast" and count else 0,
        }
        for channel, count in (("slow", slow), ("fast", fast))
    ]


def runs() -> tuple[Runs, list[Cell]]:
    """RL spends 100 rollouts, FST 100 and 60 or 100 for prompts; the stream's runs are missing."""
    data = Runs()
    cells = [PLAN.stream("rl", 100)]
    for seed, fast in ((100, 60), (101, 100)):
        for learner, spent in (("rl", 0), ("fst", fast)):
            cell = PLAN.single("facts", learner, seed)
            data.add(cell, ledger=[*ledger(0, 0, 0), *ledger(cell.steps, 100, spent)])
            cells.append(cell)
    return data, cells


def test_the_last_rows_of_done_runs_count() -> None:
    data, cells = runs()
    data.lose(cells[-1])  # FST, seed 101
    found = spending(data, cells)
    assert set(found) == {("single run", "rl"), ("single run", "fst")}
    assert found["single run", "fst"] == Spent(1, 2, 100, 60, 15 * 160, 7)
    assert found["single run", "rl"] == Spent(2, 2, 100, 0, 15 * 100, 0)
    assert found["single run", "fst"].rollouts == 160


def test_the_probe_from_the_base_is_no_single_run() -> None:
    data = Runs()
    probe = PLAN.probe(None, 100)
    data.add(probe, ledger=ledger(probe.steps, 100, 0))
    assert set(spending(data, [probe])) == {("plasticity probe", "rl")}


def test_the_page_says_what_more_was_spent_than_by_rl() -> None:
    found = spending(*runs())
    *_, table = spending_section(found)
    assert isinstance(table, Table)
    assert [row[1] for row in table.rows] == ["RL", "FST"]
    assert table.rows[1][2:] == ["2 of 2", "100", "80", "180", "1.80×", "2,700", "7"]
    top = markdown([costs_differ(found)], "")
    assert "equal training samples, not equal costs" in top
    assert "Against all rollouts of RL: FST 1.80 times as many in a single run." in top
    assert "[What the runs spent.](#spent)" in top


@pytest.mark.parametrize("cells", [[], [PLAN.stream("rl", 100)]])
def test_without_a_run_there_is_no_table_and_no_number(cells: list[Cell]) -> None:
    found = spending(Runs(), cells)
    assert spending_section(found) == []
    text = "Learners that train parameters have equal training samples, not equal costs."
    assert costs_differ(found) == Paragraph(text)
