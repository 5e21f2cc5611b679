"""Measuring: means, differences and plateaus that all claims share."""

from __future__ import annotations

import pytest

from cl_bench.analysis.paired import BySeed
from cl_bench.claims.data import Data
from cl_bench.claims.measure import detail, mean_over, measured, trajectories
from cl_bench.claims.registered import CLAIMS
from cl_bench.metrics import Undefined
from cl_bench.metrics.stats.student import Estimate, Interval

from .synthetic import LEVELS, Synthetic, filled, levelled, measures, plan_of, reason, shown

MEASURES = measures(*CLAIMS)
GONE = Undefined("the run is missing")


def test_a_seed_without_a_value_in_one_domain_has_no_mean() -> None:
    parts: dict[str, BySeed] = {"facts": {0: 0.2, 1: 0.4}, "code": {0: 0.6, 1: GONE}}
    assert mean_over(parts) == {0: pytest.approx(0.4), 1: Undefined("code: the run is missing")}


def test_ratios_are_shown_as_geometric_means() -> None:
    shown = detail("code", {"ratio": {0: 1.0, 1: 3.0}}, "ratio").values["ratio"]
    assert isinstance(shown, Estimate)
    assert shown.value == pytest.approx(4)
    assert isinstance(shown.interval, Interval)
    assert shown.interval.low * shown.interval.high == pytest.approx(4**2)


def test_an_estimate_counts_the_seeds_without_a_value_and_is_the_same_again() -> None:
    by_seed: BySeed = {0: 0.1, 1: 0.5, 2: GONE}
    first, second = (measured(by_seed, []) for _ in range(2))
    assert first == second
    assert first.value_by_seed == by_seed
    assert isinstance(first.estimate, Estimate)
    assert (first.estimate.seeds, first.estimate.of_seeds) == (2, 3)
    assert first.estimate.value == pytest.approx(0.3)
    nothing = measured({0: GONE, 1: GONE}, [])
    assert nothing.estimate == Undefined("0 of 2 seeds have a value; the run is missing")


def test_a_trajectory_is_in_the_order_of_steps() -> None:
    data = Synthetic(plan_of())
    data.add("facts", "rl", 100, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    cells = data.plan.single_runs("facts", "rl")
    found = trajectories(data, cells, "facts", "accuracy", "rollouts")[100]
    assert not isinstance(found, Undefined)
    assert list(found[0]) == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    assert list(found[1]) == [0, 150, 300, 450, 600, 750]


@pytest.mark.parametrize("statement", MEASURES)
def test_without_runs_a_statement_has_no_value_and_says_why(statement: str) -> None:
    found = MEASURES[statement](Data([]), plan_of())
    assert "is missing" in reason(found.estimate)
    assert all("is missing" in reason(value) for value in found.value_by_seed.values())


@pytest.mark.parametrize("statement", ["1a", "1b", "2b", "3a", "3b", "9a", "9b", "10a", "10b"])
def test_measures_do_not_depend_on_the_order_in_which_runs_were_made(statement: str) -> None:
    domains, learners = ("facts", "code", "math", "physics"), ("rl", "prompt", "fst", "fst-distill")
    speed = {"rl": 1.0, "prompt": 0.5, "fst": 2.0, "fst-distill": 0.8}

    def rule(domain: str, learner: str, seed: int, share: float) -> float:
        return 0.1 + 0.1 * speed[learner] * share + 0.01 * (seed - 100) + len(domain) / 100

    one = filled(plan_of(), domains, learners, rule)
    other = filled(plan_of(), domains[::-1], learners[::-1], rule)
    assert MEASURES[statement](one, one.plan) == MEASURES[statement](other, other.plan)


@pytest.mark.parametrize("budget", ["small", "full"])
@pytest.mark.parametrize(("statement", "other"), [("2b", "rl"), ("9a", "prompt")])
def test_plateaus_are_compared_seed_by_seed_over_three_domains(
    budget: str, statement: str, other: str
) -> None:
    data = levelled(budget)
    found = MEASURES[statement](data, data.plan)
    expected = 0.5 - LEVELS[other] + 0.05 / 3
    assert found.value_by_seed == pytest.approx({100: expected, 101: expected})
    assert shown(found, "code", "fst") == pytest.approx(0.605)
    assert shown(found, "code", other) == pytest.approx(LEVELS[other] + 0.005)
    assert shown(found, "math", "difference") == pytest.approx(0.45 - LEVELS[other])


@pytest.mark.parametrize(
    ("statement", "domain", "learner"),
    [
        ("2b", "math", "rl"),
        ("9a", "code", "prompt"),
        ("9b", "code", "prompt"),
        ("10a", "facts", "fst-distill"),
        ("10b", "facts", "fst"),
    ],
)
def test_a_diverged_run_leaves_its_seed_without_a_value(
    statement: str, domain: str, learner: str
) -> None:
    data = levelled()
    whole = MEASURES[statement](data, data.plan)
    data.lose(domain, learner, 100, "diverged at step 3")
    found = MEASURES[statement](data, data.plan)
    assert reason(found.value_by_seed[100]).startswith(f"{domain}: run {domain}-{learner}-100-")
    assert reason(found.value_by_seed[100]).endswith("diverged at step 3")
    assert found.value_by_seed[101] == whole.value_by_seed[101]
    assert str(found.estimate).endswith("1 of 2 seeds")
