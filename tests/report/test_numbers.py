"""Numbers as people read them."""

from __future__ import annotations

import pytest

from cl_bench.analysis.columns import Column
from cl_bench.metrics.stats.bootstrap import Estimate, Interval
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.numbers import clock, mean, shown, with_interval

LOST = Undefined("one seed")


def column(unit: str) -> Column:
    return Column("", unit, "higher")


@pytest.mark.parametrize(
    ("value", "unit", "plain", "signed"),
    [
        (0.81249, "share", "0.812", "+0.812"),
        (-0.25, "share", "-0.250", "-0.250"),
        (-0.0001, "share", "0.000", "+0.000"),
        (0.01234, "nats/token", "0.0123", "+0.0123"),
        (1.5, "ratio", "1.50", "+1.50"),
        (17181.4, "rollouts", "17,181", "+17,181"),
        (192.4, "seconds", "3:12", "+3:12"),
        (-0.2, "seconds", "0:00", "+0:00"),
        (1234.5678, "", "1235", "+1235"),
    ],
)
def test_a_value_is_shown_in_its_unit(value: float, unit: str, plain: str, signed: str) -> None:
    assert shown(value, column(unit)) == plain
    assert shown(value, column(unit), signed=True) == signed


def test_an_interval_stands_beside_its_mean_where_there_is_one() -> None:
    value = Estimate(0.1, Interval(-0.05, 0.2, 0.95), 3, 3)
    assert with_interval(value, column("share"), signed=True) == "+0.100 [-0.050, +0.200]"
    assert mean(value, column("share")) == "0.100"
    assert with_interval(Estimate(0.1, LOST, 1, 1), column("share")) == "0.100"
    assert with_interval(LOST, column("share")) == mean(LOST, column("share")) == "—"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3599.6, "1:00:00"), (36_061, "10:01:01")]
)
def test_wall_time_is_a_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text
