"""How long it takes to read and rank a thousand runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tests.report.synthetic_runs import leaderboard_of, write_runs

RUNS = 1_000


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    write_runs(folder, RUNS)
    return folder


def test_reading_and_ranking_a_thousand_runs(benchmark: BenchmarkFixture, runs: Path) -> None:
    found = benchmark.pedantic(leaderboard_of, (runs,), rounds=2)  # type: ignore[no-untyped-call]
    assert sum(len(row.runs) for board in found.boards for row in board.rows) == RUNS
    assert found.problems == ()
