"""Ablations: what runs, what is compared with what, what the page says of it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from cl_bench.analysis.paired import BySeed
from cl_bench.claims import ablations
from cl_bench.claims.ablations import (
    KL_DOMAINS,
    OF_DOMAINS,
    OF_STREAM,
    SEEDS,
    STREAM,
    Variation,
    variations,
)
from cl_bench.claims.claim_07_zero_reward import DOMAIN as ZERO_REWARD
from cl_bench.claims.plan import Plan
from cl_bench.claims.plan import plan as planned_with
from cl_bench.claims.registered import cells
from cl_bench.execution.settings import configure
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.blocks import Block, Heading, Paragraph, Table
from tests.claims.synthetic_stages import Runs, make_plan, on_stream, row, training

QUANTITIES = {quantity.name: quantity for quantity in (*OF_STREAM, *OF_DOMAINS)}
PLATEAU, KL, REWARD, FIRST = (quantity.name for quantity in OF_DOMAINS)


def variation(where: str, name: str) -> Variation:
    return next(change for change in variations(where) if change.name == name)


def value(runs: Runs, plan: Plan, where: str, name: str, quantity: str) -> BySeed:
    return ablations.value(runs, plan, where, variation(where, name), QUANTITIES[quantity])


def tables(blocks: Sequence[Block]) -> dict[str, Table]:
    return {block.caption: block for block in blocks if isinstance(block, Table)}


def stream_runs(plan: Plan, accuracy: dict[str, float], spent: int = 0) -> Runs:
    """Runs whose accuracy on every domain is the same at all points, a little more by seed.

    What they `spent` grows with the steps of the stream.
    """
    runs = Runs()
    for name, level in accuracy.items():
        for seed in plan.seeds:
            cell = ablations.cell(plan, STREAM, variation(STREAM, name), seed)
            rows = on_stream(cell, lambda *_, v=level, s=seed: v + (s - 100) / 10, 2)
            for each in rows:
                each["kl_policy_base"] = 0.5 * level
                each["rollouts"] = spent * int(str(each["step"])) // (3 * cell.steps)
            runs.add(cell, evaluations=rows)
    return runs


def add_on_math(runs: Runs, plan: Plan, name: str, accuracy: list[float], kl: float) -> None:
    """Runs on math with these accuracies, and a divergence that grows with accuracy."""
    for seed in plan.seeds:
        cell = ablations.cell(plan, "math", variation("math", name), seed)
        evaluations = [
            {**row(10 * point, "math", score), "kl_policy_base": kl * score}
            for point, score in enumerate(accuracy)
        ]
        runs.add(cell, evaluations=evaluations)


def test_all_runs_can_be_configured_and_differ_and_the_claims_own_are_used_again() -> None:
    plan = planned_with("full")
    planned = ablations.cells(plan)
    assert len(set(planned)) == len(planned)
    for cell in planned:
        configure(learner=cell.learner, **cell.options)
    of_stream = set(planned) & set(cells(plan, [6]))
    assert {cell.learner for cell in of_stream} == {"rl", "prompt", "fst"}
    assert len(of_stream) == 3 * SEEDS
    of_domains = set(planned) & set(cells(plan, [3, 7]))
    assert len(of_domains) == SEEDS * 2 * (len(KL_DOMAINS) + 1)


def test_a_variation_that_is_the_calibrated_run_itself_is_none() -> None:
    plan = make_plan(seeds=[100])
    assert plan.settings["rl"]["learning_rate"] == 6e-4
    every, told = variations(STREAM), ablations.told_apart(plan, STREAM)
    assert [change.name for change in every if change not in told] == ["rl, rate 6e-4"]


def test_rounds_set_apart_are_as_many_as_the_reference_makes() -> None:
    plan = planned_with("full")
    steps = 3 * ablations.cell(plan, STREAM, ablations.REFERENCE, 100).steps
    for name in ("prompt-then-rl", "prompt-then-rl, rate 3e-4", "rl-then-prompt"):
        cell = ablations.cell(plan, STREAM, variation(STREAM, name), 100)
        assert cell.options["consecutive_rounds"] == steps // 6 == 20
    assert cell.options["eval_every"] == plan.stage_steps("rl-then-prompt")


def test_quantities_of_the_stream_are_of_its_end() -> None:
    plan = make_plan(seeds=[100, 101])
    runs = stream_runs(plan, {"fst": 0.7, "T = 2": 0.6}, spent=9_000)
    expected = {
        "average accuracy": {100: 0.6, 101: 0.7},
        "average accuracy, seed prompt": {100: 0.99, 101: 0.99},
        "forgetting_max": {100: 0.0, 101: 0.0},
        "KL(policy ‖ base), nats/token": {100: 0.3, 101: 0.3},
        "all rollouts": {100: 9_000, 101: 9_000},
    }
    for quantity, by_seed in expected.items():
        assert value(runs, plan, STREAM, "T = 2", quantity) == pytest.approx(by_seed)
    missing = value(runs, plan, STREAM, "K = 1", "forgetting_max")[100]
    assert isinstance(missing, Undefined)
    assert "is missing" in missing.reason


def test_the_page_has_what_was_measured_on_the_stream_and_the_paired_differences() -> None:
    plan = make_plan(seeds=[100, 101])
    blocks = ablations.section(stream_runs(plan, {"fst": 0.7, "T = 2": 0.4}, spent=6_000), plan)
    assert isinstance(blocks[1], Paragraph)
    told = ablations.told_apart(plan, STREAM)
    missing = [c.name for c in told if c.name not in ("fst", "T = 2")]
    assert blocks[1].text == f"Without a finished run: {', '.join(missing)}."
    measured, changes = tables(blocks).values()
    assert [line[0] for line in measured.rows] == ["fst", "T = 2"]
    assert measured.columns[-1] == "all rollouts"
    assert str(measured.rows[0][-1]).startswith("6,000")
    assert str(measured.rows[0][4]).startswith("0.0 points")  # forgetting
    ((name, _, average, *_, rollouts),) = changes.rows
    assert name == "T = 2"
    assert average == "−30.0 points (all seeds alike)"
    assert str(rollouts).startswith("0")


def test_plateaus_average_the_last_three_evaluations_and_divergences_compare_with_fst() -> None:
    plan = make_plan(seeds=[100])
    runs = Runs()
    add_on_math(runs, plan, "rl, rate 3e-4", [0.0, 0.1, 0.4, 0.6, 0.8], kl=0.4)
    lost = value(runs, plan, "math", "rl, rate 3e-4", KL)[100]  # no fst to compare it with
    assert isinstance(lost, Undefined)
    assert "is missing" in lost.reason
    add_on_math(runs, plan, "fst", [0.0, 0.2, 0.5, 0.8, 0.8], kl=0.1)
    for name, quantity, expected in (
        ("fst", PLATEAU, 0.7),
        ("rl, rate 3e-4", PLATEAU, 0.6),
        ("rl, rate 3e-4", FIRST, 0.1),
        ("rl, rate 3e-4", KL, 2.0),  # log2 of 4 times
    ):
        assert value(runs, plan, "math", name, quantity) == pytest.approx({100: expected})


def test_where_the_base_earns_nothing_rewards_count_and_the_population_is_varied() -> None:
    plan = make_plan(seeds=[100])
    runs = Runs()
    for name, reward in (("fst", 0.4), ("no refill", 0.8)):
        cell = ablations.cell(plan, ZERO_REWARD, variation(ZERO_REWARD, name), 100)
        runs.add(cell, **training(cell, [reward] * 12))
        assert value(runs, plan, ZERO_REWARD, name, REWARD) == pytest.approx({100: reward})
    assert "no refill" not in {change.name for change in variations("math")}


def test_the_page_has_a_table_of_each_quantity_of_single_domains() -> None:
    plan = make_plan(seeds=[100, 101])
    runs = Runs()
    add_on_math(runs, plan, "rl", [0.0, 0.2, 0.5, 0.8], kl=0.1)
    blocks = ablations.section(runs, plan)
    assert isinstance(blocks[0], Heading)
    assert blocks[0].text == "On single domains"
    found = {caption.lower(): table for caption, table in tables(blocks).items()}
    assert list(found) == [PLATEAU, KL.lower(), REWARD, FIRST]
    assert "fst" not in [line[0] for line in found[KL.lower()].rows]  # compared with itself
    assert found[PLATEAU].columns == ["variation", "question", *KL_DOMAINS, ZERO_REWARD]
    by_name = {line[0]: line for line in found[PLATEAU].rows}
    assert by_name["rl"][2 + KL_DOMAINS.index("math")] == "50.0 % (all seeds alike)"
    assert by_name["no refill"][2] == "—"


def test_without_any_run_there_is_no_section() -> None:
    assert ablations.section(Runs(), make_plan(seeds=[100])) == []
