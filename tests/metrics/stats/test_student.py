"""Student's interval against scipy, published values and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cl_bench.metrics import Undefined, student_mean
from cl_bench.metrics.stats.student import Estimate, Interval


def interval(values: object, **options: float) -> Interval:
    found = student_mean(values, **options)  # type: ignore[arg-type]
    assert isinstance(found, Estimate)
    assert isinstance(found.interval, Interval)
    return found.interval


def test_students_sleep_data_give_the_interval_that_everybody_gives() -> None:
    # Student 1908, the hours gained by drug 2 over drug 1; R's t.test(…, paired = TRUE)
    gained = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
    found = interval(gained)
    assert found.low == pytest.approx(0.7001142, abs=1e-6)
    assert found.high == pytest.approx(2.4598858, abs=1e-6)


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_it_is_that_of_scipy(level: float) -> None:
    values = np.random.default_rng(0).standard_normal(4)
    expected = stats.t.interval(level, 3, values.mean(), stats.sem(values))
    found = interval(values, level=level)
    assert (found.low, found.high) == pytest.approx(expected)


def test_it_is_never_narrower_than_the_least_error_makes_it() -> None:
    found = interval([0.5, 0.5, 0.5], least_error=0.1)
    reach = stats.t.ppf(0.975, 2) * 0.1
    assert (found.low, found.high) == pytest.approx((0.5 - reach, 0.5 + reach))
    wide = [0.0, 0.5, 1.0]
    assert interval(wide, least_error=0.1) == interval(wide)


def test_one_value_has_no_interval_and_a_missing_one_no_mean() -> None:
    found = student_mean([0.5])
    assert isinstance(found, Estimate)
    assert isinstance(found.interval, Undefined)
    assert student_mean([0.5, np.nan]) == Undefined("missing value_S[1]")


def test_three_seeds_hold_the_level_that_a_bootstrap_does_not() -> None:
    rng = np.random.default_rng(1)
    held = [interval(rng.standard_normal(3)) for _ in range(1_000)]
    assert np.mean([found.low <= 0 <= found.high for found in held]) == pytest.approx(
        0.95, abs=0.02
    )


several = st.lists(st.integers(-100, 100).map(lambda n: n / 100), min_size=2, max_size=8)


@given(several, st.randoms(), st.floats(0, 1))
def test_the_interval_is_about_the_mean_whatever_the_order_and_never_below_the_least_error(
    values: list[float], order: object, least: float
) -> None:
    mixed = list(values)
    order.shuffle(mixed)  # type: ignore[attr-defined]
    given_values = np.array(values)
    found, again = interval(given_values, least_error=least), interval(mixed, least_error=least)
    assert (again.low, again.high) == pytest.approx((found.low, found.high))
    assert (found.low + found.high) / 2 == pytest.approx(np.mean(values), abs=1e-9)
    assert found.high - found.low >= 2 * least - 1e-12
    assert given_values.tolist() == values


@given(several, st.floats(0.5, 0.9))
def test_a_higher_level_has_a_wider_interval(values: list[float], level: float) -> None:
    narrow, wide = interval(values, level=level), interval(values, level=0.95)
    assert wide.low <= narrow.low <= narrow.high <= wide.high
