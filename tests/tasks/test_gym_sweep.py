"""check_task on data sets of reasoning-gym: a few, or all with CL_BENCH_GYM=all (hours)."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

import pytest

from cl_bench import check_task

TABLE: Any = import_module("cl_bench.tasks.gym_table")
FEW = ("gcd", "basic_arithmetic", "syllogism", "dice", "ransom_note", "list_functions")
"""Of each kind, two that are kept apart, and one with few different questions."""


@pytest.mark.parametrize("data", TABLE.SETS if os.environ.get("CL_BENCH_GYM") == "all" else FEW)
def test_a_data_set_keeps_the_contract_of_a_domain(data: str) -> None:
    assert check_task(f"gym/{data}") == []
