"""Rows become Arrow tables, or a message that names the table and the column."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest

from cl_bench.contract.errors import RunDirectoryError
from cl_bench.store.rows import to_arrow
from cl_bench.store.schema import TABLES

ITEM: dict[str, object] = {
    "step": 30,
    "domain": "math",
    "test_set": "stream",
    "setting": "default",
    "prompt": "seed",
    "weights": "trained",
    "uid": "math/test/0",
    "sample": 0,
    "score": 1.0,
    "answer": "8",
    "formatted": None,
    "truncated": 0,
    "completion_tokens": 21,
    "thought_tokens": 0,
}


def test_rows_become_columns_in_the_order_of_the_schema() -> None:
    shuffled = dict(reversed(ITEM.items()))
    content = to_arrow("items", [shuffled, {**ITEM, "sample": np.int64(1), "answer": None}])
    assert content.column_names == TABLES["items"].names
    assert content.to_pylist() == [ITEM, {**ITEM, "sample": 1, "answer": None}]


def test_no_rows_make_an_empty_table_with_types() -> None:
    content = to_arrow("ledger", [])
    assert content.num_rows == 0
    assert content.schema.equals(TABLES["ledger"])


def test_real_columns_take_whole_numbers_and_nan() -> None:
    content = to_arrow("timing", [{"step": 0, "phase": "learn", "seconds": 2}])
    assert content["seconds"].to_pylist() == [2.0]
    content = to_arrow("timing", [{"step": 0, "phase": "learn", "seconds": float("nan")}])
    assert isnan(content["seconds"][0].as_py())


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("step", 1.0),
        ("step", "1"),
        ("step", True),
        ("step", None),
        ("step", 2**63),
        ("score", "1.0"),
        ("score", False),
        ("score", None),
        ("uid", 7),
        ("uid", None),
        ("answer", 8),
        ("formatted", True),
        ("truncated", float("nan")),
        ("prompt", "evolved"),
        ("test_set", "easier"),
        ("weights", "frozen"),
        ("setting", None),
    ],
)
def test_wrong_values_name_the_table_and_the_column(column: str, value: object) -> None:
    with pytest.raises(RunDirectoryError, match=rf"'{column}' of the table 'items'"):
        to_arrow("items", [ITEM, {**ITEM, column: value}])


def test_message_of_a_wrong_value_says_what_was_given_and_what_is_allowed() -> None:
    with pytest.raises(RunDirectoryError, match=r"'learner' or 'stated', not 'evolved'"):
        to_arrow("items", [{**ITEM, "prompt": "evolved"}])
    with pytest.raises(RunDirectoryError, match=r"takes int64 or None, not 1.5 \(float\)"):
        to_arrow("items", [{**ITEM, "sample": 1.5}])


def test_missing_and_unknown_columns_are_both_named() -> None:
    row = {**ITEM, "reward": 1.0}
    del row["uid"], row["score"]
    with pytest.raises(RunDirectoryError, match=r"'items'.*missing: uid, score; unknown: reward"):
        to_arrow("items", [row])


def test_lone_surrogates_become_replacement_characters_and_pairs_are_joined() -> None:
    table = to_arrow("items", [{**ITEM, "answer": "a\ud800\ud83d\ude00\x00"}])
    assert table["answer"].to_pylist() == ["a\ufffd😀\x00"]
