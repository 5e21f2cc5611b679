"""The rule of the gate: what it says of given intervals, and how often it errs."""

from __future__ import annotations

import numpy as np
import pytest

from cl_bench.gate.outcome import worst
from cl_bench.gate.rule import SLACK, decide, units_needed
from cl_bench.metrics import over_seeds
from cl_bench.metrics.stats.student import Estimate, Interval
from cl_bench.metrics.undefined import Undefined

TRIALS = 2_000
TOLERANCE = 0.05


@pytest.mark.parametrize(
    ("difference", "low", "high", "verdict"),
    [
        (0.00, -0.04, 0.04, "pass"),
        (0.00, -0.05, 0.05, "pass"),
        (0.00, -0.06, 0.06, "inconclusive"),
        (-0.03, -0.04, -0.02, "pass"),  # worse, and shown to be by less than is allowed
        (-0.04, -0.06, -0.02, "inconclusive"),
        (-0.06, -0.13, 0.01, "inconclusive"),
        (-0.06, -0.11, -0.01, "regress"),
        (-0.20, -0.21, -0.19, "regress"),
        (0.20, 0.10, 0.30, "pass"),
        (-0.06, -0.04, -0.01, "regress"),  # an interval that does not hold its own estimate
    ],
)
def test_what_an_interval_shows(difference: float, low: float, high: float, verdict: str) -> None:
    assert decide(difference, Interval(low, high, 0.95), TOLERANCE) == verdict


def test_without_tolerance_equal_passes_and_any_sure_loss_does_not() -> None:
    assert decide(0.0, Interval(0.0, 0.0, 0.95), 0.0) == "pass"
    assert decide(-0.001, Interval(-0.001, -0.001, 0.95), 0.0) == "regress"
    assert decide(-SLACK / 2, Interval(-SLACK / 2, 0.0, 0.95), 0.0) == "pass"


def test_the_worst_verdict_is_the_verdict() -> None:
    assert worst(["pass", "pass"]) == "pass"
    assert worst(["pass", "inconclusive"]) == "inconclusive"
    assert worst(["inconclusive", "regress", "pass"]) == "regress"


def rates(truth: float, *, seeds: int, deviation: float = 0.05) -> dict[str, float]:
    """How often each verdict comes of so many seeds, when the difference is `truth`."""
    rng = np.random.default_rng([seeds, round(1000 * abs(truth))])
    found = []
    for difference_S in truth + deviation * rng.standard_normal((TRIALS, seeds)):
        estimate = over_seeds(dict(enumerate(difference_S)))
        assert isinstance(estimate, Estimate)
        assert isinstance(estimate.interval, Interval)
        found.append(decide(estimate.value, estimate.interval, TOLERANCE))
    return {verdict: found.count(verdict) / TRIALS for verdict in set(found)}


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_what_is_no_worse_is_rarely_called_a_regression(seeds: int) -> None:
    assert rates(0.0, seeds=seeds).get("regress", 0) <= 0.025
    assert rates(0.0, seeds=seeds, deviation=0.2).get("regress", 0) <= 0.025 + 0.008


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_what_is_worse_than_the_tolerance_rarely_passes(seeds: int) -> None:
    on_the_edge = rates(-TOLERANCE, seeds=seeds).get("pass", 0)
    assert on_the_edge == pytest.approx(0.025, abs=0.011)  # three standard errors
    assert rates(-2 * TOLERANCE, seeds=seeds).get("pass", 0) <= 0.002


def test_more_seeds_decide_more() -> None:
    for truth, verdict in ((0.0, "pass"), (-0.1, "regress")):
        few, some, many = (rates(truth, seeds=n).get(verdict, 0) for n in (3, 6, 12))
        assert few < some < many
        assert many > 0.85


def test_the_seeds_that_are_needed_decide_four_times_in_five() -> None:
    for truth, verdict in ((0.0, "pass"), (-0.1, "regress")):
        needed = units_needed(truth, 0.1, TOLERANCE, level=0.95)
        assert isinstance(needed, int)
        reached = rates(truth, seeds=needed, deviation=0.1).get(verdict, 0)
        assert reached == pytest.approx(0.8, abs=0.05), (truth, needed)


def test_a_difference_on_the_tolerance_itself_is_decided_by_no_number_of_seeds() -> None:
    found = units_needed(-TOLERANCE, 0.1, TOLERANCE, level=0.95)
    assert found == Undefined("the difference lies on the tolerance itself")


def test_seeds_that_agree_need_as_few_as_the_normal_approximation_has() -> None:
    assert units_needed(-0.1, 0.0, TOLERANCE, level=0.95) == 2
