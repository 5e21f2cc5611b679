"""The rule: each way to a verdict, by values worked out by hand."""

from __future__ import annotations

from math import log2

import numpy as np
import pytest

from cl_bench.claims.rule import (
    ClaimVerdict,
    Judgement,
    Statement,
    bounds,
    combine,
    corrected_p,
    judge,
)
from cl_bench.metrics.stats.student import NO_SPREAD, Estimate, Interval, over_seeds
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
    assert (six.verdict, six.exact_p) == (YES, 2 / 2**6)
    five = judge(STATEMENT, values(*[0.05] * 5), estimate(0.05, 0.05, 0.05, 5, 5))
    assert (five.verdict, five.exact_p) == (OPEN, 2 / 2**5)
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
        (estimate(0.05, 0.00, 0.10), OPEN, "the interval holds the null value"),
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
    assert (same.verdict, same.exact_p) == (YES, 2 / 2**6)  # each seed lies 0.02 above -0.02
    wide = judge(NO_WORSE, values(*[0.0] * 6), estimate(0.0, -0.03, 0.03))
    assert wide.verdict is OPEN
    worse = judge(NO_WORSE, values(*[-0.05] * 6), estimate(-0.05, -0.06, -0.021))
    assert worse.verdict is NO


def test_a_mixed_test_over_seeds_leaves_it_open() -> None:
    # The sum is 0.18. All positive gives 0.20, one 0.01 flipped 0.18 (two ways), all else less:
    # 3 choices of signs, and 3 in the other direction.
    mixed = values(0.05, 0.05, 0.04, 0.04, 0.01, -0.01)
    judged = judge(STATEMENT, mixed, estimate(0.03, 0.011, 0.045))
    assert judged.exact_p == 6 / 64
    assert judged.verdict is OPEN
    assert judged.reason == "the exact test over seeds has p = 0.094"


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
    assert isinstance(none.exact_p, Undefined)
    assert isinstance(none.seeds_needed, Undefined)
    single = Estimate(0.05, Undefined("one seed shows no interval over seeds"), 1, 1)
    judged = judge(STATEMENT, values(0.05), single)
    assert (judged.verdict, judged.reason) == (OPEN, "one seed shows no interval over seeds")


def test_a_seed_without_a_value_never_helps() -> None:
    six = {**values(*[0.05] * 6), 106: Undefined("run x diverged")}
    judged = judge(STATEMENT, six, estimate(0.05, 0.04, 0.06, 6, 7))
    assert (judged.verdict, judged.exact_p) == (OPEN, 2 / 2**6)
    assert judged.reason == "6 of 7 seeds have a value"


def test_without_values_by_seed_the_interval_decides_alone() -> None:
    judged = judge(STATEMENT, {}, estimate(0.05, 0.01, 0.09))
    assert judged.verdict is YES
    assert isinstance(judged.exact_p, Undefined)


@pytest.mark.parametrize(
    ("verdicts", "combined"),
    [([YES, YES], YES), ([YES, NO], NO), ([OPEN, NO], NO), ([YES, OPEN], OPEN), ([], OPEN)],
)
def test_a_claim_needs_all_its_statements_and_falls_with_one(
    verdicts: list[ClaimVerdict], combined: ClaimVerdict
) -> None:
    assert combine(verdicts) is combined


def test_seeds_without_spread_are_judged_by_the_exact_test() -> None:
    alike = Estimate(0.05, NO_SPREAD, 6, 6)
    judged = judge(STATEMENT, values(*[0.05] * 6), alike)
    assert (judged.verdict, judged.exact_p, judged.student_p) == (YES, 1 / 32, 1 / 32)
    assert judged.reason == "the value of all seeds lies above the null value"
    none = judge(STATEMENT, values(*[0.0] * 6), Estimate(0.0, NO_SPREAD, 6, 6))
    assert none.verdict is NO  # 0 with every seed: no effect of 0.02
    fit = judge(STATEMENT, {}, alike)
    assert (fit.verdict, fit.reason) == (OPEN, "all seeds alike")


@pytest.mark.parametrize("shift", [-0.05, -0.01, 0.0, 0.01, 0.05])
def test_the_verdict_agrees_with_the_interval_that_is_printed(shift: float) -> None:
    by_seed = values(*(shift + np.array([-0.03, -0.02, -0.01, 0.01, 0.02, 0.03])))
    found = over_seeds(by_seed)
    assert isinstance(found, Estimate)
    assert isinstance(found.interval, Interval)
    judged = judge(STATEMENT, by_seed, found)
    assert not isinstance(judged.student_p, Undefined)
    assert (judged.student_p < 0.05) == (not found.interval.low <= 0 <= found.interval.high)
    if judged.verdict is YES:
        assert found.interval.low > 0
    if judged.verdict is NO:
        assert found.interval.high < STATEMENT.margin


def test_claims_are_corrected_together_by_their_weakest_statement() -> None:
    def judged(shift: float, spread: float) -> tuple[Statement, Judgement]:
        by_seed = values(*(shift + spread * np.array([-3.0, -2, -1, 1, 2, 3])))
        return STATEMENT, judge(STATEMENT, by_seed, over_seeds(by_seed))

    sure, weak, wrong = judged(0.05, 0.001), judged(0.05, 0.015), judged(-0.05, 0.001)
    p_sure, p_weak = (one[1].student_p for one in (sure, weak))
    assert not isinstance(p_sure, Undefined)
    assert not isinstance(p_weak, Undefined)
    assert corrected_p([[sure], [sure, weak]]) == pytest.approx([2 * p_sure, p_weak])
    untested = (STATEMENT, judge(STATEMENT, {}, Undefined("no fit")))
    assert corrected_p([[wrong], [sure, untested], []]) == [1.0, 1.0, 1.0]
