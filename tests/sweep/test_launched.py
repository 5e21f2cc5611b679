"""Runs of several ranks are made and fail as others do, and end with their worker."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from cl_bench.api import Run
from cl_bench.sweep import worker
from cl_bench.sweep.backends.process import WorkerProcess
from cl_bench.sweep.cell import Cell
from cl_bench.sweep.logs import end_of_log, reached
from tests.options import SMALLEST

SMALL = {**SMALLEST}
pytestmark = pytest.mark.slow


def small(model: Path, steps: int = 2, **options: Any) -> Cell:
    return Cell("math", "rl", 1, steps, {**SMALL, **options}, model=str(model))


def test_two_ranks_make_the_run_of_one_and_one_fails_with_its_reason(
    tiny_model: Path, tmp_path: Path
) -> None:
    cell = small(tiny_model)
    ranks = WorkerProcess(tmp_path / "two", {}, ranks=2)
    try:
        ranks.ask(cell)
        assert ranks.answer(cell).status == "done"
        broken = small(tiny_model, items=0)
        ranks.ask(broken)
        outcome = ranks.answer(broken)
        assert outcome.status == "failed"
        assert "UsageError: items is 0" in outcome.reason
        assert any("items is 0" in line for line in end_of_log(broken, tmp_path / "two"))
    finally:
        ranks.terminate()
        ranks.close()
    assert Run(tmp_path / "two" / cell.name).manifest["ranks"] == 2
    assert worker.make(cell, tmp_path / "one") == {"status": "done", "reason": ""}
    one, two = (
        Run(tmp_path / place / cell.name).table("evaluations")["kl_policy_base"].to_numpy()
        for place in ("one", "two")
    )
    np.testing.assert_allclose(one, two, atol=1e-5)


def test_ranks_end_with_their_worker(tiny_model: Path, tmp_path: Path) -> None:
    cell = small(tiny_model, steps=1000)
    here = psutil.Process()
    before = here.children()
    asked = WorkerProcess(tmp_path, {}, ranks=2)
    (started_worker,) = (child for child in here.children() if child not in before)
    asked.ask(cell)
    while reached(cell, tmp_path) is None:
        time.sleep(0.2)
    started = [started_worker, *started_worker.children(recursive=True)]
    assert len(started) >= 4  # the worker, its launcher and two ranks
    started_worker.kill()
    asked.close()
    assert psutil.wait_procs(started, timeout=30)[1] == []
