"""Runs killed at random moments end, once resumed, with the tables of an undisturbed run.

`cl-bench selftest` does the same with more kills.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import cl_bench
from cl_bench.contract.errors import ClBenchError, UsageError
from cl_bench.tools.selftest import _PLACES, SelfTest, selftest

PACKAGE = Path(cl_bench.__file__).parent
DEFINED = re.compile(r"def (\w+)\(").findall


@pytest.mark.slow
@pytest.mark.parametrize(("learner", "kills"), [("fst", 14), ("rl", 4), ("prompt", 4)])
def test_killed_and_resumed_runs_have_the_tables_of_an_undisturbed_one(
    learner: str, kills: int
) -> None:
    said: list[str] = []
    outcome = selftest(kills=kills, learner=learner, say=said.append)
    assert outcome.passed, said
    assert len(outcome.kills) == kills
    assert outcome.text().startswith(f"passed: {kills} kills in {outcome.runs} runs")


def test_a_difference_is_a_failure() -> None:
    assert not SelfTest(resumed=["steps.loss: 1 of 8 rows"]).passed
    assert "FAILED" in SelfTest(resumed=["steps.loss: 1 of 8 rows"]).text()
    assert "NOT REPEATABLE" in SelfTest(repeat=["steps.loss: 1 of 8 rows"]).text()


def test_a_process_that_fails_is_reported_with_its_error() -> None:
    with pytest.raises(ClBenchError, match=r"(?s)instead of running.*Did you mean 'cpu'"):
        selftest(kills=1, device="tpu")


def test_every_place_that_a_kill_is_named_by_is_there() -> None:
    """A function that was renamed would never be named again."""
    there = {
        (path.name, name) for path in PACKAGE.rglob("*.py") for name in DEFINED(path.read_text())
    }
    missing = [place for place in _PLACES if place not in there]
    assert missing == []


def test_impossible_numbers_are_refused() -> None:
    with pytest.raises(UsageError, match="at least 0"):
        selftest(kills=-1)
