"""The lists of reasoning-gym's data sets: on the command line and in docs/gym.md."""

from __future__ import annotations

import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cl_bench.cli.app import app

GYM: Any = import_module("cl_bench.tasks.gym.domain")
TABLE: Any = import_module("cl_bench.tasks.gym.table")
OVERVIEW: Any = import_module("cl_bench.tasks.gym.overview")
PAGE = Path(__file__).parents[2] / "docs" / "gym.md"


def test_the_page_is_what_the_command_makes() -> None:
    """Lengths of questions are taken from the page; they belong to one version of the library."""
    page = PAGE.read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| `gym/(\w+)` \| \w+ \| [\w, ]+ \| ([\d,]+)(?: \*)? \|", page, re.MULTILINE
    )
    assert OVERVIEW.page({data: int(length.replace(",", "")) for data, length in rows}) == page
    made_for = GYM.load("gym/gcd").version.endswith(TABLE.MADE_FOR)
    if made_for:
        some = ("chain_sum", "list_functions")
        assert OVERVIEW.lengths(*some) == {
            data: int(length.replace(",", "")) for data, length in rows if data in some
        }


def test_every_data_set_is_adapted_or_left_out_with_a_reason() -> None:
    names = set(GYM.factory().DATASETS)
    if GYM.load("gym/gcd").version.endswith(TABLE.MADE_FOR):
        assert {*TABLE.SETS, *TABLE.LEFT_OUT} == names
    assert not set(TABLE.SETS) & set(TABLE.LEFT_OUT)
    assert all(TABLE.LEFT_OUT.values())
    assert [*TABLE.SETS] == sorted(TABLE.SETS)


@pytest.fixture
def fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {data: TABLE.SETS[data] for data in ("gcd", "rotate_matrix")}
    monkeypatch.setattr(OVERVIEW, "SETS", kept)


@pytest.mark.usefixtures("fewer")
def test_list_gym_shows_each_data_set_with_an_example() -> None:
    shown = CliRunner().invoke(app, ["list", "gym"]).output
    assert "gym/gcd                        arithmetic; number; easy, default, hard\n" in shown
    assert "    Find the Greatest Common Divisor (GCD) of these numbers: " in shown
    assert "gym/boxnet                     not adapted: no right answer comes with an item" in shown
    # A grid is shown in one line.
    assert len(shown.splitlines()) == 2 * 3 + len(TABLE.LEFT_OUT)


@pytest.mark.usefixtures("fewer")
def test_list_gym_as_json_is_a_line_for_each() -> None:
    lines = CliRunner().invoke(app, ["list", "gym", "--json"]).output.splitlines()
    entries = [json.loads(line) for line in lines]
    assert entries[0]["name"] == "gym/gcd"
    assert entries[0]["settings"] == ["easy", "default", "hard"]
    assert entries[-1]["left_out"]
