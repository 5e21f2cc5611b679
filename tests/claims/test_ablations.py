"""Ablations: what runs, what is compared, what the page says of it."""

from __future__ import annotations

import pytest

from cl_bench.claims import ablations
from cl_bench.claims.ablations import REFERENCE, VARIATIONS, StreamRow, Variation
from cl_bench.claims.plan import Plan
from cl_bench.claims.plan import plan as planned_with
from cl_bench.claims.registered import cells
from cl_bench.contract.registry import LEARNERS
from cl_bench.execution.settings import configure
from cl_bench.metrics.stats.bootstrap import Estimate
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.blocks import Paragraph, Table
from tests.claims.synthetic_stages import Runs, make_plan, on_stream


def variation(name: str) -> Variation:
    return next(change for change in VARIATIONS if change.name == name)


def runs_of(plan: Plan, accuracy: dict[str, float]) -> Runs:
    """Runs whose accuracy on every domain is the same at all points, a little more by seed."""
    runs = Runs()
    for name, value in accuracy.items():
        for seed in plan.seeds:
            cell = ablations.cell(plan, variation(name), seed)
            rows = on_stream(cell, lambda *_, v=value, s=seed: v + (s - 100) / 10, 2)
            divergences = [{**row, "kl_policy_base": 0.5 * value} for row in rows]
            runs.add(cell, evaluations=divergences)
    return runs


def find(rows: list[StreamRow], name: str, quantity: str) -> StreamRow:
    return next(r for r in rows if (r.variation.name, r.quantity) == (name, quantity))


def test_every_variation_is_a_run_that_can_be_configured_and_they_all_differ() -> None:
    plan = planned_with("full")
    planned = ablations.cells(plan)
    assert len(set(planned)) == len(planned) == len(VARIATIONS) * ablations.SEEDS
    for cell in planned:
        assert cell.learner in LEARNERS
        configure(learner=cell.learner, **cell.options)


def test_the_claims_own_runs_are_used_again() -> None:
    plan = make_plan("full", range(100, 106))
    shared = set(ablations.cells(plan)) & set(cells(plan, [6]))
    assert {cell.learner for cell in shared} == {"rl", "prompt", "fst"}
    assert len(shared) == 3 * ablations.SEEDS


def test_differences_are_paired_with_the_reference_by_seed() -> None:
    plan = make_plan(seeds=[100, 101])
    rows = ablations.rows(runs_of(plan, {"fst": 0.7, "T = 2": 0.6}), plan)

    row = find(rows, "T = 2", "average_accuracy")
    assert isinstance(row.value, Estimate)
    assert isinstance(row.difference, Estimate)
    assert row.value.value == pytest.approx(0.65)  # 0.6 and 0.7
    assert row.difference.value == pytest.approx(-0.1)
    assert str(row.difference.interval) == "[-0.100, -0.100]"  # the same with both seeds
    kl = find(rows, "T = 2", "KL(policy ‖ base), nats/token")
    assert isinstance(kl.difference, Estimate)
    assert kl.difference.value == pytest.approx(0.3 - 0.35)
    seed_prompt = find(rows, "fst", "average_accuracy, seed prompt")
    assert isinstance(seed_prompt.value, Estimate)
    assert seed_prompt.value.value == pytest.approx(0.99)


def test_a_variation_without_runs_says_so_and_nobody_fills_in() -> None:
    plan = make_plan(seeds=[100])
    row = find(ablations.rows(runs_of(plan, {"fst": 0.7}), plan), "K = 1", "forgetting_max")
    assert isinstance(row.value, Undefined)
    assert isinstance(row.difference, Undefined)
    assert "is missing" in row.value.reason


def test_the_section_has_what_was_measured_and_the_differences() -> None:
    plan = make_plan(seeds=[100, 101])
    found = ablations.section(ablations.rows(runs_of(plan, {"fst": 0.7, "T = 2": 0.4}), plan))

    _, absent, measured, changes = found
    assert isinstance(absent, Paragraph)
    assert isinstance(measured, Table)
    assert isinstance(changes, Table)
    assert [row[0] for row in measured.rows] == ["fst", "T = 2"]
    assert [row[0] for row in changes.rows] == ["T = 2"]
    missing = [change.name for change in VARIATIONS if change.name not in ("fst", "T = 2")]
    assert absent.text == f"Without a finished run: {', '.join(missing)}."
    (row,) = changes.rows
    assert row[2] == "−30.0 points [−30.0, −30.0]"


def test_rollouts_stand_beside_what_they_bought() -> None:
    plan = make_plan(seeds=[100])
    runs = Runs()
    for name, spent in (("fst", 3_000), ("T = 2", 9_000)):
        cell = ablations.cell(plan, variation(name), 100)
        rows = on_stream(cell, lambda *_: 0.5, 2)
        for row in rows:
            row["rollouts"] = spent * int(str(row["step"])) // (3 * cell.steps)
            row["kl_policy_base"] = 0.1
        runs.add(cell, evaluations=rows)
    *_, measured, changes = ablations.section(ablations.rows(runs, plan))
    assert isinstance(measured, Table)
    assert isinstance(changes, Table)
    assert measured.columns[-1] == "all rollouts"
    assert measured.rows[0][-1] == "3,000"
    assert next(row for row in changes.rows if row[0] == "T = 2")[-1] == "+6,000"
    assert next(row for row in measured.rows if row[0] == "fst")[4] == "0.0 points"  # forgetting


def test_without_any_run_there_is_no_section() -> None:
    plan = make_plan(seeds=[100])
    assert ablations.section(ablations.rows(Runs(), plan)) == []


def test_rounds_set_apart_are_as_many_as_the_reference_makes() -> None:
    plan = planned_with("full")
    steps = 3 * ablations.cell(plan, REFERENCE, 100).steps
    for name in ("prompt-then-rl", "prompt-then-rl, rate 3e-4", "rl-then-prompt"):
        cell = ablations.cell(plan, variation(name), 100)
        assert cell.options["consecutive_rounds"] == steps // 6 == 20
    assert ablations.cell(plan, variation("rl-then-prompt"), 100).options["eval_every"] == 40
