"""The digits of a mean are those that its interval carries."""

from __future__ import annotations

import pytest

from cl_bench.metrics.digits import carried
from cl_bench.metrics.quantities import COUNT, NATS, NUMBER, POINTS, RATIO, SHARE, Quantity
from cl_bench.metrics.stats.student import ONE_SEED, Estimate, Interval


@pytest.mark.parametrize(
    ("of", "bound", "numbers", "shown"),
    [
        (RATIO, 1, (78.88, 56.17, 110.78), "79× [56, 111]"),
        (RATIO, 1, (1.16, 0.91, 1.48), "1.16× [0.91, 1.48]"),
        (POINTS, 0, (0.064, -0.024, 0.153), "+6 points [−2, +15]"),
        (POINTS, 0, (0.304, 0.276, 0.332), "+30.4 points [+27.6, +33.2]"),
        (POINTS, 0, (0.6713, 0.417, 0.926), "+67 points [+42, +93]"),
        (RATIO, 1, (30.4, 1.1, 833.4), "30× [1.1, 800]"),
        (RATIO, 1, (241.0, 4.05, 14359.0), "240× [4, 14,000]"),
        (SHARE, 0, (0.9, 0.8035, 0.9965), "90 % [80, 100]"),  # 9.65 counts as 10
        (
            SHARE,
            0,
            (0.47, -0.34, 1.28),
            "47 % [−34, 128]",
        ),  # tens would hide what 47 and 53 differ by
        (NATS, 0, (0.0026, 0.0019, 0.0033), "0.003 nats [0.002, 0.003]"),  # no more than there are
        (COUNT, 0, (6080.0, -14250.0, 26410.0), "6,000 [−14,000, 26,000]"),
        (NUMBER, 0, (2.7183, 2.60, 2.84), "2.72 [2.60, 2.84]"),
    ],
)
def test_a_mean_has_the_digits_that_its_interval_carries(
    of: Quantity, bound: float, numbers: tuple[float, float, float], shown: str
) -> None:
    value, low, high = numbers
    estimate = Estimate(value, Interval(low, high, 0.95), 6, 6)
    assert carried(of, estimate, bound).estimate(estimate) == shown


@pytest.mark.parametrize(
    ("of", "bound", "numbers", "shown"),
    [
        (RATIO, 1, (1.70, 1.04, 2.80), "1.70× [1.04, 2.80]"),
        (POINTS, 0, (0.06, 0.004, 0.116), "+6.0 points [+0.4, +11.6]"),
        (POINTS, -0.02, (-0.018, -0.0204, -0.0156), "−1.8 points [−2.0, −1.6]"),  # no more digits
        (RATIO, 1, (1.0, 0.04, 25.0), "1.0× [0.04, 25]"),
    ],
)
def test_no_end_is_rounded_onto_what_it_is_compared_with(
    of: Quantity, bound: float, numbers: tuple[float, float, float], shown: str
) -> None:
    value, low, high = numbers
    estimate = Estimate(value, Interval(low, high, 0.95), 6, 6)
    assert carried(of, estimate, bound).estimate(estimate) == shown


def test_single_values_beside_a_mean_may_have_a_digit_more() -> None:
    estimate = Estimate(78.88, Interval(56.17, 110.78, 0.95), 6, 6)
    assert carried(RATIO, estimate, 1, spare=1).text(57.861) == "57.9×"


def test_without_an_interval_all_digits_stand() -> None:
    assert carried(RATIO, Estimate(78.88, ONE_SEED, 1, 1)) is RATIO
