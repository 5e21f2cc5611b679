"""Texts made harmless for a terminal and fit for UTF-8."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_bench.contract.text import abbreviated, one_line, printable, well_formed

ANY = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain 8", "plain 8"),
        ("größer ‖ 日本語 ☃", "größer ‖ 日本語 ☃"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x1b]52;c;cHduZWQ=\x07", "\\x1b]52;c;cHduZWQ=\\x07"),
        ("\x9b2J", "\\x9b2J"),
        ("a\u202eb", "a\\u202eb"),
        ("a\ud800b", "a\\ud800b"),
        ("a\x00b\r\n\t", "a\\x00b\\r\\n\\t"),
        ("a\u2028b", "a\\u2028b"),
        ("a\U000e0041b", "a\\U000e0041b"),
    ],
)
def test_what_a_terminal_would_obey_or_hide_is_escaped_and_the_rest_stays(
    text: str, shown: str
) -> None:
    assert printable(text) == shown


def test_a_limit_bounds_what_is_read_and_says_that_something_is_missing() -> None:
    assert printable("abcdef", 6) == "abcdef"
    assert printable("abcdefg", 6) == "abcde…"


def test_one_line_joins_lines_and_spaces() -> None:
    assert one_line(" a\n\n b\t\x1b\u2029c ") == "a b \\x1b c"


@given(ANY)
def test_printed_text_can_be_written_anywhere_and_holds_no_control(text: str) -> None:
    shown = printable(text)
    shown.encode()
    assert all(c.isprintable() or c in "\u200c\u200d" or c.isspace() for c in shown)
    assert not set(shown) & {"\x1b", "\x9b", "\x00", "\r", "\n", "\x07", "\u202e", "\u2066"}
    assert printable(shown) == shown


def test_surrogate_pairs_are_joined_and_lone_surrogates_replaced() -> None:
    assert well_formed("a\ud83d\ude00\udcffb\ud800") == "a😀\ufffdb\ufffd"


@given(ANY)
def test_well_formed_text_is_utf8_and_utf8_text_is_left_alone(text: str) -> None:
    whole = well_formed(text)
    whole.encode()
    assert well_formed(whole) == whole
    try:
        text.encode()
    except UnicodeEncodeError:
        assert "\ufffd" in whole or len(whole) < len(text)
    else:
        assert whole == text


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["gym/gcd", "math"], ["gcd", "math"]),
        (["gym/gcd?max_value=20"], ["gcd"]),
        (["gym/gcd?max_value=20", "gym/gcd"], ["gcd?max_value=20", "gcd"]),
        (["gym/math", "math"], ["gym/math", "math"]),
        (["acme-streams/colours"], ["acme-streams/colours"]),
        (["file/my.jsonl", "file/other.jsonl"], ["my.jsonl", "other.jsonl"]),
    ],
)
def test_names_are_abbreviated_as_long_as_they_tell_domains_apart(
    names: list[str], shown: list[str]
) -> None:
    assert list(abbreviated(names).values()) == shown
