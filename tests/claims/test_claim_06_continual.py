from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import pytest

from cl_bench.claims import claim_04_out_of_distribution, measure
from cl_bench.claims.claim_06_continual import CLAIM
from cl_bench.claims.plan import Plan
from cl_bench.metrics import Undefined, average_accuracy
from tests.claims.synthetic import measures
from tests.claims.synthetic_stages import Runs, make_plan, means, on_stream

MEASURES = measures(CLAIM)

# Two evaluations in each of the three stages, after the one before training.
CURVES: Mapping[str, Mapping[str, tuple[float, ...]]] = {
    "rl": {
        "facts": (0.2, 0.5, 0.7, 0.6, 0.6, 0.5, 0.45),
        "code": (0.2, 0.2, 0.2, 0.3, 0.25, 0.2, 0.2),
        "physics": (0.1, 0.1, 0.1, 0.1, 0.1, 0.2, 0.3),
    },
    "prompt": {
        "facts": (0.2, 0.3, 0.4, 0.4, 0.4, 0.4, 0.4),
        "code": (0.2, 0.2, 0.2, 0.35, 0.4, 0.4, 0.4),
        "physics": (0.1, 0.1, 0.1, 0.1, 0.1, 0.6, 0.4),
    },
    "fst": {
        "facts": (0.2, 0.6, 0.6, 0.6, 0.6, 0.7, 0.75),
        "code": (0.2, 0.2, 0.2, 0.6, 0.5, 0.9, 0.9),
        "physics": (0.1, 0.1, 0.1, 0.1, 0.1, 0.3, 0.5),
    },
}
# Peaks in the own stage: facts 0.7 (rl), code 0.6 (fst, not its later 0.9), physics 0.6 (prompt).


def make_runs(plan: Plan) -> Runs:
    runs = Runs()
    for seed in plan.seeds:
        for learner, by_domain in CURVES.items():
            cell = plan.stream(learner, seed)
            runs.add(cell, evaluations=on_stream(cell, partial(_at, by_domain), 2))
    return runs


def _at(by_domain: Mapping[str, tuple[float, ...]], domain: str, point: int) -> float:
    return by_domain[domain][point]


@pytest.mark.parametrize("budget", ["small", "full"])
def test_shares_of_the_best_gain_of_any_learner_in_the_stage(budget: str) -> None:
    plan = make_plan(budget)
    runs = make_runs(plan)

    later, first = MEASURES["6a"](runs, plan), MEASURES["6b"](runs, plan)

    # code: 0.3 - 0.05 of 0.4, physics: 0.4 - 0.2 of 0.5
    assert later.value_by_seed == pytest.approx(dict.fromkeys(plan.seeds, (0.625 + 0.4) / 2))
    # facts at the end: 0.55 - 0.25 of 0.5
    assert first.value_by_seed == pytest.approx(dict.fromkeys(plan.seeds, 0.6))
    details = {line.what: means(line) for line in (*later.details, *first.details)}
    assert details == {
        "code after its stage, share of the peak": pytest.approx(
            {"rl": 0.125, "prompt": 0.5, "fst": 0.75, "difference": 0.625}
        ),
        "code after its stage, accuracy": pytest.approx(
            {"rl": 0.25, "prompt": 0.4, "fst": 0.5, "difference": 0.25}
        ),
        "physics after its stage, share of the peak": pytest.approx(
            {"rl": 0.4, "prompt": 0.6, "fst": 0.8, "difference": 0.4}
        ),
        "physics after its stage, accuracy": pytest.approx(
            {"rl": 0.3, "prompt": 0.4, "fst": 0.5, "difference": 0.2}
        ),
        "facts at the end, share of the peak": pytest.approx(
            {"rl": 0.5, "prompt": 0.4, "fst": 1.1, "difference": 0.6}
        ),
        "facts at the end, accuracy": pytest.approx(
            {"rl": 0.45, "prompt": 0.4, "fst": 0.75, "difference": 0.3}
        ),
    }


def test_the_average_at_the_end_is_of_accuracies() -> None:
    plan = make_plan()

    measured = MEASURES["6c"](make_runs(plan), plan)

    assert measured.value_by_seed == pytest.approx(dict.fromkeys(plan.seeds, (2.15 - 0.95) / 3))
    assert means(measured.details[0]) == pytest.approx(
        {"rl": 0.95 / 3, "prompt": 0.4, "fst": 2.15 / 3, "difference": 0.4}
    )


def test_forgetting_from_the_best_stage_end_on_the_same_runs() -> None:
    plan = make_plan()

    measured = claim_04_out_of_distribution.forgetting(make_runs(plan), plan)

    # rl: facts 0.7 - 0.45, code 0.25 - 0.2; fst improves: facts 0.6 - 0.75, code 0.5 - 0.9
    assert means(measured.details[0]) == pytest.approx(
        {"rl": 0.15, "fst": -0.275, "difference": 0.425}
    )
    assert measured.value_by_seed == pytest.approx(dict.fromkeys(plan.seeds, 0.425))


def test_learners_may_be_evaluated_at_different_points() -> None:
    plan = make_plan(seeds=[100])
    runs = make_runs(plan)
    cell = plan.stream("fst", 100)
    # Twice as often, an accuracy standing until the next that is known.
    doubled = on_stream(cell, lambda name, point: CURVES["fst"][name][point // 2], 4)
    runs.add(cell, evaluations=doubled)

    assert MEASURES["6a"](runs, plan).value_by_seed == pytest.approx({100: 0.5125})


@pytest.mark.parametrize("learner", ["rl", "prompt", "fst"])
def test_without_one_of_the_three_learners_the_peak_is_unknown(learner: str) -> None:
    plan = make_plan()
    runs = make_runs(plan)
    lost = plan.stream(learner, 101)
    runs.diverge(lost)

    measured = MEASURES["6a"](runs, plan)

    assert measured.value_by_seed[100] == pytest.approx(0.5125)
    assert measured.value_by_seed[101] == Undefined(f"code: run {lost.name} diverged at step 7")
    # Accuracies need no peak: prompt-only has no part in their difference.
    average = MEASURES["6c"](runs, plan).value_by_seed[101]
    assert isinstance(average, Undefined) == (learner != "prompt")


def test_a_task_that_nobody_learned_has_no_share() -> None:
    plan = make_plan(seeds=[100])
    runs = make_runs(plan)
    for learner in CURVES:
        cell = plan.stream(learner, 100)
        rows = on_stream(cell, lambda name, p: 0.2 + 0.01 * p if name == "physics" else 0.5, 2)
        runs.add(cell, evaluations=rows)

    value = MEASURES["6a"](runs, plan).value_by_seed[100]

    assert isinstance(value, Undefined)
    assert value.reason == "code: no learner gained 5.0 points on code; the best gained 0.0 points"


def test_missing_stage_ends_are_named() -> None:
    plan = make_plan(seeds=[100])
    runs = make_runs(plan)
    cell = plan.stream("fst", 100)
    rows = on_stream(cell, lambda name, point: CURVES["fst"][name][point], 2)
    runs.add(cell, evaluations=[r for r in rows if (r["stage"], r["at"]) != (3, "stage-end")])

    assert MEASURES["6b"](runs, plan).value_by_seed == {
        100: Undefined("facts: no evaluation at the end of stage 3")
    }
    average = MEASURES["6c"](runs, plan).value_by_seed[100]
    assert isinstance(average, Undefined)
    assert "R[3, 1]" in average.reason


def test_a_run_without_its_start_has_no_base() -> None:
    plan = make_plan(seeds=[100])
    runs = make_runs(plan)
    cell = plan.stream("prompt", 100)
    rows = on_stream(cell, lambda name, point: CURVES["prompt"][name][point], 2)
    runs.add(cell, evaluations=[each for each in rows if each["step"]])

    assert MEASURES["6b"](runs, plan).value_by_seed == {
        100: Undefined("facts: prompt has no evaluation of facts before training")
    }


def test_the_average_of_a_run_without_a_domain_is_undefined() -> None:
    plan = make_plan(seeds=[100])
    runs = Runs()
    cell = plan.stream("rl", 100)
    rows = on_stream(cell, lambda *_: 0.5, 1)
    runs.add(cell, evaluations=[each for each in rows if each["domain"] != "code"])

    assert measure.on_stream(runs, plan, "rl", average_accuracy) == {
        100: Undefined("missing cell R[3, 2]")
    }
