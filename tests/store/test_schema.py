from __future__ import annotations

from pathlib import Path

from cl_bench.store.schema import TABLES, allowed_values
from cl_bench.store.schema_page import markdown

PAGE = Path(__file__).parents[2] / "docs" / "tables.md"


def test_every_column_says_what_it_is_in_one_sentence_and_in_which_unit() -> None:
    for name, schema in TABLES.items():
        for field in schema:
            described = {key.decode(): value.decode() for key, value in field.metadata.items()}
            assert described["unit"], f"{name}.{field.name}"
            assert described["description"].endswith("."), f"{name}.{field.name}"


def test_page_of_the_tables_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == markdown(), (
        "run `python -m cl_bench.store.schema_page > docs/tables.md`"
    )


def test_limited_columns_list_their_names() -> None:
    assert allowed_values(TABLES["evaluations"].field("at")) == ("start", "inside", "stage-end")
    assert allowed_values(TABLES["evaluations"].field("domain")) == ()
