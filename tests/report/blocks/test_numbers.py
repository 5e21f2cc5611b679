"""How pages write numbers."""

from __future__ import annotations

import pytest

from cl_bench.report.blocks.numbers import compact, plain, shown, signed, unit_name


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (842, "842"),
        (999.4, "999"),
        (999.6, "1.00k"),
        (9_840, "9.84k"),
        (98_440, "98.4k"),
        (999_400, "999k"),
        (999_600, "1.00M"),
        (1_350_000, "1.35M"),
        (-2_500, "−2.50k"),
        (3.2e9, "3.20G"),
    ],
)
def test_counts_have_three_digits(value: float, text: str) -> None:
    assert compact(value) == text


def test_what_rounds_to_zero_has_no_sign() -> None:
    assert plain(-0.0004, ".2f") == "0.00"
    assert signed(-0.0004, ".2f") == "0.00"
    assert signed(0.0004, ".2f") == "0.00"
    assert signed(-0.004, ".3f") == "−0.004"
    assert signed(0.004, ".3f") == "+0.004"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.71234, "share", "71.2"),
        (-0.031, "points", "−3.1"),
        (0.02614, "nats/token", "0.026"),
        (1.8449, "ratio", "1.84"),
        (17_181, "rollouts", "17.2k"),
        (3_912.0, "seconds", "1.1 h"),
        (212.0, "seconds", "3.5 min"),
        (59.9, "seconds", "59.9 s"),
        (59.99, "seconds", "1.0 min"),
        (1234.5678, "furlongs", "1235"),
    ],
)
def test_a_value_is_written_by_its_unit(value: float, unit: str, text: str) -> None:
    assert shown(value, unit) == text


def test_units_stand_beside_values_that_do_not_say_them() -> None:
    assert [unit_name(unit) for unit in ("share", "points", "seconds", "furlongs")] == [
        "%",
        "points",
        "",
        "furlongs",
    ]
