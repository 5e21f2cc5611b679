"""Building the page of a thousand runs."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from cl_bench.report.page.build import ReportFiles, report
from tests.report.synthetic_runs import write_runs

RUNS = 1_000


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A thousand finished runs: 40 rows on 8 boards, 25 seeds each, with items and transcripts."""
    folder = tmp_path_factory.mktemp("thousand")
    write_runs(folder, RUNS, items=16, transcripts=2)
    return folder


@pytest.mark.benchmark(group="the page of a thousand runs")
def test_a_thousand_runs(benchmark: BenchmarkFixture, runs: Path, tmp_path: Path) -> None:
    """From tables to the page and its Markdown twin, without figure files. It should take less
    than 10 s on two cores that do nothing else."""
    done = benchmark.pedantic(  # type: ignore[no-untyped-call]
        lambda: report([runs], tmp_path / "out", figures=False), rounds=1
    )
    made = cast(ReportFiles, done)
    size = made.html.stat().st_size
    benchmark.extra_info["megabytes"] = round(size / 1e6, 2)
    assert size < 10_000_000
    assert len(made.contents.runs) == RUNS
    assert "were left out" not in made.html.read_text(encoding="utf-8")
