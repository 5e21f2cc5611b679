"""The rule: each way to a verdict, by values worked out by hand, and what intervals hold."""

from __future__ import annotations

from math import log2

import pytest

from cl_bench.claims.rule import ClaimVerdict, Statement, bounds, combine, coverage, judge
from cl_bench.metrics.stats.student import Estimate, Interval
from cl_bench.metrics.undefined import Undefined

STATEMENT = Statement("1a", "first minus second", 0.0, 0.02)
NO_WORSE = Statement("4a", "first minus second (no worse)", -0.02, -0.02)
RATIO = Statement("7a", "second over first", 1.0, 1.5, "ratio")
YES, NO, OPEN = ClaimVerdict.REPRODUCED, ClaimVerdict.NOT_REPRODUCED, ClaimVerdict.INCONCLUSIVE


def values(*given: float) -> dict[int, float | Undefined]:
    return dict(enumerate(given, 100))


def estimate(value: float, low: float, high: float, seeds: int = 6, of: int = 6) -> Estimate:
    return Estimate(value, Interval(low, high, 0.95), seeds, of)


def test_six_seeds_that_agree_reproduce_and_five_cannot() -> None:
    six = judge(STATEMENT, values(*[0.05] * 6), estimate(0.05, 0.05, 0.05))
    assert (six.verdict, six.p) == (YES, 2 / 2**6)
    five = judge(STATEMENT, values(*[0.05] * 5), estimate(0.05, 0.05, 0.05, 5, 5))
    assert (five.verdict, five.p) == (OPEN, 2 / 2**5)
    assert five.reason == "5 seeds; at least 6 can decide"


def test_six_seeds_can_refute_and_five_cannot() -> None:
    six = judge(STATEMENT, values(*[-0.05] * 6), estimate(-0.05, -0.06, 0.019))
    assert (six.verdict, six.reason) == (NO, "the interval lies below the margin")
    five = judge(STATEMENT, values(*[-0.05] * 5), estimate(-0.05, -0.06, 0.019, 5, 6))
    assert (five.verdict, five.reason) == (OPEN, "5 seeds; at least 6 can decide")


def test_a_refutation_needs_the_test_against_the_margin_too() -> None:
    # 0.02 minus these: 0.07 five times and -0.01. Only all-negative and all-positive signs, and
    # the one flip of the last, give a sum as far from 0 as 0.34: 4 of 64.
    mixed = judge(STATEMENT, values(*[-0.05] * 5, 0.03), estimate(-0.03, -0.05, 0.015))
    assert mixed.verdict is OPEN
    alike = judge(STATEMENT, values(*[-0.05] * 5, 0.01), estimate(-0.03, -0.05, 0.015))
    assert alike.verdict is NO


def test_an_effect_too_small_to_claim_is_said_to_be_one() -> None:
    small = judge(STATEMENT, values(*[0.01] * 6), estimate(0.01, 0.005, 0.015))
    assert small.verdict is NO
    assert small.reason == "there is an effect, but it is smaller than the margin"


@pytest.mark.parametrize(
    ("found", "verdict", "reason"),
    [
        (estimate(0.05, 0.00, 0.10), OPEN, "the interval holds the value without an effect"),
        (estimate(0.05, 0.001, 0.10), YES, "the interval lies above"),
        (estimate(0.015, 0.01, 0.03), OPEN, "an effect, but its mean is below the margin"),
        (estimate(0.02, 0.01, 0.03), YES, "the interval lies above"),
        (estimate(0.01, 0.005, 0.02), OPEN, "its mean is below the margin"),
    ],
)
def test_the_interval_is_compared_with_null_and_margin(
    found: Estimate, verdict: ClaimVerdict, reason: str
) -> None:
    judged = judge(STATEMENT, values(*[0.05] * 6), found)
    assert judged.verdict is verdict
    assert reason in judged.reason


def test_no_worse_asks_for_an_interval_above_the_negative_margin() -> None:
    same = judge(NO_WORSE, values(*[0.0] * 6), estimate(0.0, -0.01, 0.01))
    assert (same.verdict, same.p) == (YES, 2 / 2**6)  # each seed lies 0.02 above -0.02
    wide = judge(NO_WORSE, values(*[0.0] * 6), estimate(0.0, -0.03, 0.03))
    assert wide.verdict is OPEN
    worse = judge(NO_WORSE, values(*[-0.05] * 6), estimate(-0.05, -0.06, -0.021))
    assert worse.verdict is NO


def test_a_mixed_test_over_seeds_leaves_it_open() -> None:
    # The sum is 0.18. All positive gives 0.20, one 0.01 flipped 0.18 (two ways), all else less:
    # 3 choices of signs, and 3 in the other direction.
    mixed = values(0.05, 0.05, 0.04, 0.04, 0.01, -0.01)
    judged = judge(STATEMENT, mixed, estimate(0.03, 0.011, 0.045))
    assert judged.p == 6 / 64
    assert judged.verdict is OPEN
    assert judged.reason == "the exact test over seeds has p = 0.0938"


def test_ratios_are_judged_as_logarithms() -> None:
    assert bounds(RATIO) == (0.0, log2(1.5))
    doubled = values(*[1.0] * 6)
    assert judge(RATIO, doubled, estimate(1.0, 0.9, 1.1)).verdict is YES
    half = values(*[0.5] * 6)
    assert judge(RATIO, half, estimate(0.5, 0.4, 0.58)).verdict is NO  # below log2 1.5 = 0.585
    assert judge(RATIO, doubled, estimate(0.58, 0.4, 0.7)).verdict is OPEN


def test_undefined_values_and_intervals_leave_it_open_and_say_why() -> None:
    none = judge(STATEMENT, {}, Undefined("no fit"))
    assert (none.verdict, none.reason) == (OPEN, "no fit")
    assert isinstance(none.p, Undefined)
    assert isinstance(none.seeds_needed, Undefined)
    single = Estimate(0.05, Undefined("one seed shows no interval over seeds"), 1, 1)
    judged = judge(STATEMENT, values(0.05), single)
    assert (judged.verdict, judged.reason) == (OPEN, "one seed shows no interval over seeds")


def test_a_seed_without_a_value_never_helps() -> None:
    six = {**values(*[0.05] * 6), 106: Undefined("run x diverged")}
    judged = judge(STATEMENT, six, estimate(0.05, 0.04, 0.06, 6, 7))
    assert (judged.verdict, judged.p) == (OPEN, 2 / 2**6)
    assert judged.reason == "6 of 7 seeds have a value"


def test_without_values_by_seed_the_interval_decides_alone() -> None:
    judged = judge(STATEMENT, {}, estimate(0.05, 0.01, 0.09))
    assert judged.verdict is YES
    assert isinstance(judged.p, Undefined)


@pytest.mark.parametrize(
    ("verdicts", "combined"),
    [([YES, YES], YES), ([YES, NO], NO), ([OPEN, NO], NO), ([YES, OPEN], OPEN), ([], OPEN)],
)
def test_a_claim_needs_all_its_statements_and_falls_with_one(
    verdicts: list[ClaimVerdict], combined: ClaimVerdict
) -> None:
    assert combine(verdicts) is combined


def test_few_seeds_have_intervals_that_are_too_narrow() -> None:
    found = [coverage(seeds) for seeds in (2, 3, 6, 20)]
    assert found == sorted(found)
    assert found[2] == pytest.approx(0.86, abs=0.015)
    assert found[3] > 0.92


def test_with_two_seeds_the_truth_lies_between_them_half_of_the_time() -> None:
    # A resample has both means with 1/4 each, so that the interval goes from the one to the other.
    assert coverage(2) == pytest.approx(0.5, abs=0.03)


def test_it_is_the_same_again() -> None:
    assert coverage(4) == coverage(4)
