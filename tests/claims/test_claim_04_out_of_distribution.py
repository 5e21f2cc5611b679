from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from cl_bench.claims.claim_04_out_of_distribution import CLAIM
from cl_bench.claims.plan import Plan
from cl_bench.metrics import Undefined
from tests.claims.synthetic import measures
from tests.claims.synthetic_stages import Row, Runs, make_plan, means, row

MEASURES = measures(CLAIM)

ALL = ("facts", "code", "math", "physics", "star-graph")
BASE = (0.5, 0.5, 0.5, 0.5, 0.75)  # four other domains and the hardest setting: mean 0.55
ENDS: Mapping[tuple[str, str], Sequence[float]] = {
    ("facts", "rl"): (0.4, 0.5, 0.6, 0.7, 0.3),  # 0.5
    ("facts", "fst"): (0.5, 0.6, 0.7, 0.8, 0.4),  # 0.6
    ("code", "rl"): (0.6, 0.6, 0.6, 0.6, 0.1),  # 0.5
    ("code", "fst"): (0.5, 0.5, 0.5, 0.5, 0.5),  # 0.5
    ("math", "rl"): (0.5, 0.5, 0.5, 0.5, 1.0),  # 0.6
    ("math", "fst"): (0.7, 0.7, 0.7, 0.7, 0.0),  # 0.56
}


def rows(domain: str, step: int, accuracies: Sequence[float]) -> list[Row]:
    others = [name for name in ALL if name != domain]
    asked = [
        row(step, name, accuracy, prompt="stated", test_set="retention")
        for name, accuracy in zip(others, accuracies, strict=False)
    ]
    harder = row(step, domain, accuracies[-1], prompt="seed", test_set="harder")
    own = [row(step, domain, 0.97, prompt=prompt) for prompt in ("seed", "learner")]
    return [*asked, harder, *own]


def make_runs(plan: Plan) -> Runs:
    runs = Runs()
    for (domain, learner), ends in ENDS.items():
        for seed in plan.seeds:
            cell = plan.single(domain, learner, seed)
            runs.add(cell, evaluations=rows(domain, 0, BASE) + rows(domain, cell.steps, ends))
    return runs


@pytest.mark.parametrize("budget", ["small", "full"])
def test_five_sets_have_equal_weight_and_domains_too(budget: str) -> None:
    plan = make_plan(budget)
    runs = make_runs(plan)

    against_rl, against_base = MEASURES["4a"](runs, plan), MEASURES["4b"](runs, plan)

    assert against_rl.value_by_seed == pytest.approx(dict.fromkeys(plan.seeds, 0.02))
    # 0.6, 0.5 and 0.56, each minus 0.55
    assert against_base.value_by_seed == pytest.approx(dict.fromkeys(plan.seeds, 0.01 / 3))
    assert means(against_rl.details[2]) == pytest.approx(
        {"base": 0.55, "rl": 0.6, "fst": 0.56, "difference": -0.04, "difference to base": 0.01}
    )
    assert [line.what for line in against_rl.details] == [
        "trained on facts",
        "trained on code",
        "trained on math",
    ]


def test_statements_against_rl_and_against_the_base_share_their_details() -> None:
    plan = make_plan()
    runs = make_runs(plan)

    assert MEASURES["4a"](runs, plan).details == MEASURES["4b"](runs, plan).details


def test_a_seed_without_a_run_has_no_value_and_says_which() -> None:
    plan = make_plan()
    runs = make_runs(plan)
    diverged = plan.single("code", "rl", 101)
    runs.diverge(diverged)

    measured = MEASURES["4a"](runs, plan)

    assert measured.value_by_seed[100] == pytest.approx(0.02)
    lost = measured.value_by_seed[101]
    assert isinstance(lost, Undefined)
    assert lost.reason.startswith("trained on code: ")
    assert lost.reason.endswith(f"run {diverged.name} diverged at step 7")
    assert not isinstance(measured.estimate, Undefined)
    assert (measured.estimate.seeds, measured.estimate.of_seeds) == (1, 2)
    # The base's side of the comparison does not need RL.
    assert MEASURES["4b"](runs, plan).value_by_seed[101] == pytest.approx(0.01 / 3)


@pytest.mark.parametrize("missing", ["retention", "harder"])
def test_four_of_five_sets_are_not_averaged(missing: str) -> None:
    plan = make_plan(seeds=[100])
    runs = make_runs(plan)
    cell = plan.single("math", "fst", 100)
    kept = [
        each
        for each in rows("math", 0, BASE) + rows("math", cell.steps, ENDS["math", "fst"])
        if each["test_set"] != missing or (missing == "retention" and each["domain"] != "physics")
    ]
    runs.add(cell, evaluations=kept)

    value = MEASURES["4a"](runs, plan).value_by_seed[100]

    assert isinstance(value, Undefined)
    named = "trained on math: " + ("physics: " if missing == "retention" else "math, hardest")
    assert value.reason.startswith(named)
