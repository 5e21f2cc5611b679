from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from math import isnan
from pathlib import Path

import numpy as np
import pytest

from cl_bench.errors import RunDirectoryError
from cl_bench.learner import PromptRecord, Spend, StepRecord
from cl_bench.schema import TABLES, allowed_values, markdown, to_arrow

PAGE = Path(__file__).parents[1] / "docs" / "tables.md"
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
    "completion_tokens": 21,
}


def test_every_column_says_what_it_is_in_one_sentence_and_in_which_unit() -> None:
    for name, schema in TABLES.items():
        for field in schema:
            described = {key.decode(): value.decode() for key, value in field.metadata.items()}
            assert described["unit"], f"{name}.{field.name}"
            assert described["description"].endswith("."), f"{name}.{field.name}"


@pytest.mark.parametrize(
    ("table", "own", "record"),
    [
        ("steps", ["step", "stage", "domain"], StepRecord),
        ("prompts", ["step"], PromptRecord),
        ("ledger", ["step", "channel"], Spend),
    ],
)
def test_tables_of_records_have_all_their_fields(
    table: str, own: list[str], record: type[StepRecord | PromptRecord | Spend]
) -> None:
    assert TABLES[table].names == own + [field.name for field in fields(record)]
    kinds = {"int": "int64", "float": "double"}
    for field in fields(record):
        expected = kinds.get(str(field.type), "string")
        assert str(TABLES[table].field(field.name).type) == expected, field.name


def test_page_of_the_tables_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == markdown(), (
        "run `python -m cl_bench.schema > docs/tables.md`"
    )


def test_page_names_every_column() -> None:
    lines = markdown().splitlines()
    for schema in TABLES.values():
        for name in schema.names:
            assert any(line.startswith(f"| `{name}` |") for line in lines)


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
    with pytest.raises(RunDirectoryError, match=r"takes int64, not 1.5 \(float\)"):
        to_arrow("items", [{**ITEM, "sample": 1.5}])


def test_missing_and_unknown_columns_are_both_named() -> None:
    row = {**ITEM, "reward": 1.0}
    del row["uid"], row["score"]
    with pytest.raises(RunDirectoryError, match=r"'items'.*missing: uid, score; unknown: reward"):
        to_arrow("items", [row])


def test_limited_columns_list_their_names() -> None:
    assert allowed_values(TABLES["evaluations"].field("at")) == ("start", "inside", "stage-end")
    assert allowed_values(TABLES["evaluations"].field("domain")) == ()


def test_torch_is_not_imported() -> None:
    code = "import sys, cl_bench.schema; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_lone_surrogates_become_replacement_characters_and_pairs_are_joined() -> None:
    table = to_arrow("items", [{**ITEM, "answer": "a\ud800\ud83d\ude00\x00"}])
    assert table["answer"].to_pylist() == ["a\ufffd😀\x00"]
