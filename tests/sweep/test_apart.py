"""Learners whose runs no board will compare are told before the runs are made."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from cl_bench.cli.app import app
from cl_bench.sweep.apart import apart
from cl_bench.sweep.grid import grid

SMALL, LARGE = "rl", "fst"
"""Learners of the embedded model whose steps have 64 and 128 rollouts."""


def told(
    *learners: str, stream: str = "math-to-code", steps: int | None = None, **options: Any
) -> list[str]:
    return apart(grid([stream], learners, [0, 1], steps=steps, options=options))


def test_learners_compare_by_themselves() -> None:
    assert told(SMALL, LARGE) == []
    assert told(SMALL, LARGE, stream="paper", rollouts=2560) == []


def test_one_interval_in_steps_of_two_sizes_is_told() -> None:
    (said,) = told(SMALL, "rl-kl", LARGE, eval_every=50)
    assert "on math-to-code no board will compare all learners" in said
    assert "between evaluations are 3,200 (rl, rl-kl) and 6,400 (fst)" in said
    each: dict[str, Any] = {"eval_every": 50, "fst.eval_every": 25}
    assert told(SMALL, LARGE, **each) == []


def test_one_number_of_steps_of_two_sizes_is_told() -> None:
    (said,) = told(SMALL, LARGE, steps=20)
    assert "training samples of the stages are 1,280 (rl) and 2,560 (fst); --rollouts" in said
    assert told(SMALL, "rl-kl", steps=20) == []


def test_a_number_of_rollouts_that_is_no_multiple_of_a_step_is_told() -> None:
    (said,) = told(SMALL, LARGE, rollouts=2600)
    assert "are 2,624 (rl) and 2,688 (fst)" in said


@pytest.mark.parametrize("arguments", [["--set", "eval_every=50"], ["--steps", "20"]])
def test_the_command_tells_it(arguments: list[str]) -> None:
    asked = ["sweep", "--learners", "rl,fst", "--seeds", "0", "--dry-run", *arguments]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 0, result.stderr
    assert "no board will compare all learners" in " ".join(result.stderr.split())
