from __future__ import annotations

from collections.abc import Mapping

import pytest

from cl_bench.claims.claim_05_plasticity import CLAIM
from cl_bench.claims.plan import Plan
from cl_bench.metrics import Undefined
from cl_bench.metrics.stats.student import Estimate
from tests.claims.synthetic import measures, texts
from tests.claims.synthetic_stages import Runs, make_plan, means, row

MEASURES = measures(CLAIM)

BASE = {100: 0.5, 101: 0.3}
AFTER: Mapping[tuple[str, str], Mapping[int, float]] = {
    ("math", "rl"): {100: 0.3, 101: 0.1},
    ("math", "fst"): {100: 0.6, 101: 0.3},
    ("physics", "rl"): {100: 0.4, 101: 0.4},
    ("physics", "fst"): {100: 0.5, 101: 0.2},
}


def make_runs(plan: Plan) -> Runs:
    runs = Runs()
    for seed in plan.seeds:
        reached = {plan.probe(None, seed): BASE[seed]}
        for (domain, learner), by_seed in AFTER.items():
            reached[plan.probe(plan.single(domain, learner, seed), seed)] = by_seed[seed]
        for cell, accuracy in reached.items():
            both = [row(0, "facts", 0.05), row(cell.steps, "facts", 0.99)]
            under_seed = [{**each, "prompt": "seed"} for each in both]
            under_seed[-1]["accuracy"] = accuracy
            runs.add(cell, evaluations=both + under_seed)
    return runs


@pytest.mark.parametrize("budget", ["small", "full"])
def test_probes_are_compared_at_their_end_under_the_seed_prompt(budget: str) -> None:
    plan = make_plan(budget)
    runs = make_runs(plan)

    # seed 100: after math 0.6 - 0.3, after physics 0.5 - 0.4; seed 101: 0.2 and -0.2
    assert MEASURES["5a"](runs, plan).value_by_seed == pytest.approx({100: 0.2, 101: 0.0})
    # seed 100: 0.1 and 0; seed 101: 0 and -0.1
    assert MEASURES["5b"](runs, plan).value_by_seed == pytest.approx({100: 0.05, 101: -0.05})


def test_details_show_every_origin_and_the_plasticity_ratio_of_means() -> None:
    plan = make_plan()

    details = {line.what: line for line in MEASURES["5a"](make_runs(plan), plan).details}

    assert means(details["after math"]) == pytest.approx(
        {"base": 0.4, "rl": 0.2, "fst": 0.45, "difference": 0.25, "difference to base": 0.05}
    )
    ratio = details["after math, plasticity ratio"]
    assert ratio.scale == "ratio"
    assert means(ratio) == pytest.approx({"rl": 0.2 / 0.4, "fst": 0.45 / 0.4})
    assert means(details["after physics, plasticity ratio"]) == pytest.approx(
        {"rl": 1.0, "fst": 0.35 / 0.4}
    )


def test_a_missing_probe_takes_its_seed_out_of_both_sides_of_the_ratio() -> None:
    plan = make_plan()
    runs = make_runs(plan)
    lost = plan.probe(plan.single("math", "rl", 101), 101)
    runs.lose(lost)

    measured = MEASURES["5a"](runs, plan)

    assert measured.value_by_seed == {
        100: pytest.approx(0.2),
        101: Undefined(f"after math: run {lost.name} is missing"),
    }
    details = {line.what: line for line in measured.details}
    ratio = details["after math, plasticity ratio"].values["rl"]
    assert isinstance(ratio, Estimate)
    assert ratio.value == pytest.approx(0.3 / 0.5)
    assert (ratio.seeds, ratio.of_seeds) == (1, 2)
    assert MEASURES["5b"](runs, plan).value_by_seed == pytest.approx({100: 0.05, 101: -0.05})


def test_without_the_base_there_is_no_ratio() -> None:
    plan = make_plan(seeds=[100])
    runs = make_runs(plan)
    runs.diverge(plan.probe(None, 100))

    against_rl, against_base = MEASURES["5a"](runs, plan), MEASURES["5b"](runs, plan)

    assert against_rl.value_by_seed == pytest.approx({100: 0.2})
    value = against_base.value_by_seed[100]
    assert isinstance(value, Undefined)
    assert "diverged" in value.reason
    assert against_rl.details[1].values["rl"] == Undefined("no seed has both probes")


def test_a_base_that_reaches_nothing_has_no_ratio() -> None:
    plan = make_plan(seeds=[100])
    runs = make_runs(plan)
    runs.add(plan.probe(None, 100), evaluations=[row(40, "facts", 0.0, prompt="seed")])

    ratio = MEASURES["5a"](runs, plan).details[1].values["fst"]

    assert ratio == Undefined("the probe from the base model reaches 0")


def test_a_bar_says_how_many_seeds_it_rests_on() -> None:
    plan = make_plan()
    runs = make_runs(plan)
    runs.lose(plan.probe(plan.single("math", "rl", 101), 101))

    panels = CLAIM.figure(runs, plan).axes

    assert texts(panels[0]) == ["1 of 2"]
    assert texts(panels[1]) == []
