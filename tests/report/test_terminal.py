"""Curves of characters."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_bench.report.terminal import ASCII, BLOCKS, plain_text, sparkline, table

NAN = math.nan


def test_a_share_is_a_block_of_its_height() -> None:
    shares = [0.0, 0.1, 0.2, 0.3, 0.45, 0.6, 0.7, 0.8, 1.0]
    assert sparkline(shares, [1] * 9, width=9) == "▁▁▂▃▄▅▆▇█"
    assert sparkline(shares, [1] * 9, width=9, ascii_only=True) == "__.:-=+*#"


def test_a_bar_stands_where_a_stage_begins_and_the_start_belongs_to_the_first() -> None:
    shares = [0, 0.5, 1, 0.5, 1]
    assert sparkline(shares, [0, 1, 1, 2, 3], width=7) == "▁▅█│▅│█"
    assert sparkline(shares, [0, 1, 1, 2, 3], width=7, ascii_only=True) == "_=#|=|#"


def test_with_room_a_point_is_wider() -> None:
    assert sparkline([0, 1], [0, 1], width=5) == "▁▁██"
    assert sparkline([0, 1], [0, 1], width=1_000) == "▁▁▁▁████"


def test_without_room_neighbours_of_a_stage_are_averaged() -> None:
    # two of a stage each: 0.5, 1.0 | 0, 0.5
    shares = [0.25, 0.75, 1, 1, 0, 0, 0.5, 0.5]
    assert sparkline(shares, [1] * 4 + [2] * 4, width=5) == "▅█│▁▅"


def test_what_is_missing_is_a_gap() -> None:
    assert sparkline([0, NAN, 1], [1, 1, 1], width=3) == "▁ █"
    assert sparkline([NAN, NAN, 1, NAN], [1] * 4, width=2) == " █"


def test_nothing_is_nothing() -> None:
    assert sparkline([], [], width=10) == ""


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 4)), max_size=60),
    st.integers(12, 120),
    st.booleans(),
)
def test_it_keeps_to_its_width_and_its_characters(
    points: list[tuple[float, int]], width: int, ascii_only: bool
) -> None:
    points.sort(key=lambda point: point[1])
    shares, stages = [share for share, _ in points], [stage for _, stage in points]
    line = sparkline(shares, stages, width=width, ascii_only=ascii_only)
    assert len(line) <= width
    assert set(line) <= set(ASCII + "|" if ascii_only else BLOCKS + "│")
    assert line.count("|" if ascii_only else "│") == max(len({max(s, 1) for s in stages}) - 1, 0)


@pytest.mark.parametrize("share", [-0.5, 1.5])
def test_what_lies_outside_is_shown_at_the_edge(share: float) -> None:
    assert sparkline([share], [1], width=1) == ("▁" if share < 0 else "█")


def test_numbers_and_words_of_a_table_stay_whole_at_any_width() -> None:
    long = "+818,323 points [+1.30 M, +2.10 M]"
    rows = [("anytime average accuracy", "36.1 %", long), ("forgetting (max)", "1,024.0 %", long)]

    def shown(width: int) -> str:
        made = table("metric", "of the first side", "second − first")
        for row in rows:
            made.add_row(*row)
        return plain_text(made, width)

    for width in (120, 70, 60, 46):
        text = shown(width)
        assert max(map(len, text.splitlines())) <= width
        for whole in (
            "anytime",
            "accuracy",
            "forgetting",
            "36.1 %",
            "1,024.0 %",
            "+818,323 points",
        ):
            assert whole in text, width
    assert long in shown(120)
    assert long in shown(70)
    assert long not in shown(46)
    assert "[+1.30 M, +2.10 M]" in shown(46)
    assert shown(30).splitlines()[:3] == [
        "anytime average accuracy",
        "  of the first side 36.1 %,",
        "  second − first +818,323",
    ]
