"""Ablations of single runs: what runs, what is compared with what, what the page says of it."""

from __future__ import annotations

import pytest

from cl_bench.claims import ablations_single
from cl_bench.claims.ablations import SEEDS, Variation
from cl_bench.claims.ablations_single import REFERENCE, SingleRow, variations
from cl_bench.claims.claim_07_zero_reward import DOMAIN as ZERO_REWARD
from cl_bench.claims.plan import KL_DOMAINS, Plan
from cl_bench.claims.plan import plan as planned_with
from cl_bench.claims.registered import cells
from cl_bench.execution.settings import configure
from cl_bench.metrics.stats.bootstrap import Estimate
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.blocks import Heading, Table
from tests.claims.synthetic_stages import Runs, make_plan, row, training

PLATEAU, KL, REWARD, FIRST = (quantity.name for quantity in ablations_single.QUANTITIES)


def variation(name: str, domain: str = "math") -> Variation:
    return next(change for change in variations(domain) if change.name == name)


def add(runs: Runs, plan: Plan, name: str, accuracy: list[float], kl: float) -> None:
    """Runs on math with these accuracies, and a divergence that grows with accuracy."""
    for seed in plan.seeds:
        cell = ablations_single.cell(plan, "math", variation(name), seed)
        evaluations = [
            {**row(10 * point, "math", value), "kl_policy_base": kl * value}
            for point, value in enumerate(accuracy)
        ]
        runs.add(cell, evaluations=evaluations)


def find(rows: list[SingleRow], name: str, quantity: str, domain: str = "math") -> SingleRow:
    return next(
        r for r in rows if (r.variation.name, r.quantity.name, r.domain) == (name, quantity, domain)
    )


def value(found: SingleRow) -> float:
    assert isinstance(found.value, Estimate)
    return found.value.value


def test_all_runs_can_be_configured_and_differ_and_the_calibrated_ones_are_the_claims_own() -> None:
    plan = planned_with("full")
    planned = ablations_single.cells(plan)
    assert len(set(planned)) == len(planned)
    for cell in planned:
        configure(learner=cell.learner, **cell.options)
    shared = set(planned) & set(cells(plan, [3, 7]))
    assert len(shared) == SEEDS * 2 * (len(KL_DOMAINS) + 1)


def test_plateaus_average_the_last_three_evaluations_and_divergences_compare_with_fst() -> None:
    plan = make_plan(seeds=[100, 101])
    runs = Runs()
    add(runs, plan, "fst", [0.0, 0.2, 0.5, 0.8, 0.8], kl=0.1)
    add(runs, plan, "rl, rate 3e-4", [0.0, 0.1, 0.4, 0.6, 0.8], kl=0.4)
    rows = ablations_single.rows(runs, plan)
    assert value(find(rows, "fst", PLATEAU)) == pytest.approx(0.7)
    assert value(find(rows, "rl, rate 3e-4", PLATEAU)) == pytest.approx(0.6)
    assert value(find(rows, "rl, rate 3e-4", KL)) == pytest.approx(4.0)
    assert not [r for r in rows if r.quantity.name == KL and r.variation == REFERENCE]


def test_a_run_that_is_missing_leaves_its_value_undefined() -> None:
    plan = make_plan(seeds=[100])
    runs = Runs()
    add(runs, plan, "rl", [0.0, 0.2, 0.5, 0.8], kl=0.1)
    rows = ablations_single.rows(runs, plan)
    lost = find(rows, "rl", KL).value  # there is no fst to compare it with
    assert isinstance(lost, Undefined)
    assert "is missing" in lost.reason
    assert value(find(rows, "rl", PLATEAU)) == pytest.approx(0.5)


def test_where_the_base_earns_nothing_rewards_count_and_the_population_is_varied() -> None:
    plan = make_plan(seeds=[100])
    runs = Runs()
    for name, reward in (("fst", 0.4), ("no refill", 0.8)):
        cell = ablations_single.cell(plan, ZERO_REWARD, variation(name, ZERO_REWARD), 100)
        runs.add(cell, **training(cell, [reward] * 12))
    rows = ablations_single.rows(runs, plan)
    assert value(find(rows, "fst", REWARD, ZERO_REWARD)) == pytest.approx(0.4)
    assert value(find(rows, "no refill", REWARD, ZERO_REWARD)) == pytest.approx(0.8)
    assert "no refill" not in {row.variation.name for row in rows if row.domain != ZERO_REWARD}


def test_the_section_has_a_table_of_each_quantity() -> None:
    plan = make_plan(seeds=[100, 101])
    runs = Runs()
    add(runs, plan, "rl", [0.0, 0.2, 0.5, 0.8], kl=0.1)
    section = ablations_single.section(ablations_single.rows(runs, plan))
    assert [block.text for block in section if isinstance(block, Heading)] == [
        "On single domains",
    ]
    tables = [block for block in section if isinstance(block, Table)]
    assert [table.caption.lower() for table in tables] == [PLATEAU, KL.lower(), REWARD, FIRST]
    assert tables[0].columns == ["variation", "question", *KL_DOMAINS, ZERO_REWARD]
    rl = next(row for row in tables[0].rows if row[0] == "rl")
    assert rl[2 + KL_DOMAINS.index("math")] == "50.0 % [50.0, 50.0]"
    missing = next(row for row in tables[0].rows if row[0] == "no refill")
    assert missing[2] == "—"


def test_without_any_run_there_is_no_section() -> None:
    plan = make_plan(seeds=[100])
    assert ablations_single.section(ablations_single.rows(Runs(), plan)) == []
