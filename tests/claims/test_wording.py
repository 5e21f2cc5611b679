"""Numbers in words: units, signs, one minus, seeds."""

from __future__ import annotations

import pytest

from cl_bench.claims.wording import of_detail
from cl_bench.metrics.stats.student import ONE_SEED, Estimate, Interval
from cl_bench.metrics.undefined import Undefined


def estimate(value: float, seeds: int = 2) -> Estimate:
    return Estimate(value, Interval(value - 0.01, value + 0.01, 0.95), seeds, 2)


@pytest.mark.parametrize(
    ("name", "scale", "shown"),
    [
        ("fst", "accuracy", "−5.0 % [−6.0, −4.0]"),
        ("gain", "accuracy", "−5.0 points [−6.0, −4.0]"),
        ("difference to base", "accuracy", "−5.0 points [−6.0, −4.0]"),
        ("slow", "points", "−5.0 points [−6.0, −4.0]"),
        ("difference", "nats", "−0.050 nats [−0.060, −0.040]"),
        ("fst", "nats", "−0.050 nats [−0.060, −0.040]"),
    ],
)
def test_levels_have_a_percent_sign_and_differences_points_with_a_sign(
    name: str, scale: str, shown: str
) -> None:
    assert of_detail(name, scale, estimate(-0.05)) == shown


def test_a_positive_difference_has_its_sign_too() -> None:
    assert of_detail("gain", "accuracy", estimate(0.05)) == "+5.0 points [+4.0, +6.0]"
    more = Estimate(1_200.0, Interval(-3.0, 2_400.0, 0.95), 2, 2)
    assert of_detail("difference", "samples", more) == "+1,200 [−3, +2,400]"


def test_a_ratio_is_never_a_difference() -> None:
    assert of_detail("difference", "ratio", estimate(1.5)) == "1.50× [1.49, 1.51]"


def test_seeds_are_counted_where_some_are_missing_or_on_request() -> None:
    assert of_detail("fst", "accuracy", estimate(0.5, 1)).endswith("51.0], 1 of 2")
    assert of_detail("fst", "accuracy", estimate(0.5), counted=True).endswith("51.0], 2 of 2")
    assert of_detail("fst", "accuracy", Undefined("no run"), counted=True) == "— (no run)"


def test_of_one_seed_the_value_stands_alone_and_other_reasons_are_told() -> None:
    assert of_detail("fst", "accuracy", Estimate(0.5, ONE_SEED, 1, 1)) == "50.0 %"
    other = Estimate(0.9, Undefined("a ratio of means over seeds"), 2, 2)
    assert of_detail("fst", "ratio", other) == "0.90× (a ratio of means over seeds)"
