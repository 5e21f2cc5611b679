"""Numbers as people read them."""

from __future__ import annotations

from math import nan

import pytest

from cl_bench.metrics.quantities import (
    BYTES,
    COUNT,
    NATS,
    NUMBER,
    POINTS,
    RATIO,
    ROLLOUTS,
    SECONDS,
    SHARE,
    Quantity,
    p_value,
    percent,
)
from cl_bench.metrics.stats.student import Estimate, Interval
from cl_bench.metrics.undefined import Undefined

LOST = Undefined("one seed")


@pytest.mark.parametrize(
    ("value", "of", "text", "change"),
    [
        (0.81249, SHARE, "81.2 %", "+81.2 points"),
        (-0.25, POINTS, "−25.0 points", "−25.0 points"),
        (0.25, POINTS, "+25.0 points", "+25.0 points"),
        (-0.0001, SHARE, "0.0 %", "0.0 points"),
        (0.01234, NATS, "0.012 nats", "+0.012 nats"),
        (1.5, RATIO, "1.50×", "+1.50×"),
        (17181.4, ROLLOUTS, "17,181", "+17,181"),
        (192.4, SECONDS, "3 min 12 s", "+3 min 12 s"),
        (-3661.0, SECONDS, "−1 h 01 min", "−1 h 01 min"),
        (1234.5678, NUMBER, "1235", "+1235"),
        (-1e-7, NUMBER, "−1e−07", "−1e−07"),
    ],
)
def test_a_value_is_written_with_its_unit_and_a_change_with_its_sign(
    value: float, of: Quantity, text: str, change: str
) -> None:
    assert of.text(value) == text
    assert of.change.text(value) == change


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (3599.6, "1 h 00 min")],
)
def test_wall_time_is_in_two_units(seconds: float, text: str) -> None:
    assert SECONDS.text(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (36_100, "36.1 kB"),
        (999_999, "1 MB"),
        (93_400_000, "93 MB"),
        (999_900_000, "1.0 GB"),
        (1.2e9, "1.2 GB"),
    ],
)
def test_sizes_are_in_powers_of_1000(size: float, text: str) -> None:
    assert BYTES.text(size) == text


def test_below_a_heading_with_the_unit_stands_the_number_alone() -> None:
    assert [(of.heading, of.number(0.5)) for of in (SHARE, POINTS, NATS, RATIO, COUNT)] == [
        ("%", "50.0"),
        ("points", "+50.0"),
        ("nats/token", "0.500"),
        ("×", "0.50"),
        ("", "0"),
    ]


def test_a_distance_is_a_change_without_its_sign() -> None:
    assert SHARE.distance.text(0.05) == "5.0 points"
    assert NATS.distance.text(0.05) == "0.050 nats"


def test_what_is_missing_is_a_dash() -> None:
    assert SHARE.text(LOST) == SHARE.number(nan) == SHARE.estimate(LOST) == "—"
    assert p_value(LOST) == "—"


def test_an_interval_stands_beside_its_mean_where_there_is_one() -> None:
    value = Estimate(0.1, Interval(-0.05, 0.2, 0.95), 3, 3)
    assert SHARE.change.estimate(value) == "+10.0 points [−5.0, +20.0]"
    assert SHARE.estimate(Estimate(0.1, LOST, 1, 1)) == "10.0 %"


def test_machines_are_told_one_unit_for_shares_and_their_differences() -> None:
    assert SHARE.unit == POINTS.unit == "share"


def test_a_p_has_three_digits_and_a_level_none_that_it_does_not_need() -> None:
    assert [p_value(p) for p in (0.25, 0.03125, 1.9e-6)] == ["0.25", "0.031", "< 0.001"]


def test_no_p_is_rounded_to_the_other_side_of_the_level() -> None:
    assert [p_value(p) for p in (0.0496, 0.05, 0.0504)] == ["0.0496", "0.05", "0.05"]
    assert [percent(share) for share in (0.95, 0.9999)] == ["95 %", "99.99 %"]
