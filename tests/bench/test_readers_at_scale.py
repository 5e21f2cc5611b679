"""Time and memory of the commands that read runs, over 100 and 1,000 cells of 10,240 responses.

With CL_BENCH_CELLS=10000 in the environment also over that many, 10⁸ responses: it takes an hour.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tests.bench.cells import ROWS, write_cells

SIZES = (100, 1_000, *map(int, os.environ.get("CL_BENCH_CELLS", "").split()))
MOST = 2_000_000_000
"""Bytes of all processes of a command together."""


@pytest.fixture(scope="module", params=SIZES)
def cells(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[int, Path]:
    """How many cells lie in the folder's `own`, and in `other` those that half of them are compared
    with."""
    count, folder = int(request.param), tmp_path_factory.mktemp("cells")
    write_cells(folder / "own", count)
    write_cells(folder / "other", count, part=0.5, lift=0.02)
    half = folder / "own" / "half"
    half.mkdir()
    for stream in (folder / "other").iterdir():
        (folder / "own" / stream.name).rename(half / stream.name)
    return count, folder


@pytest.mark.benchmark(group="readers at scale")
@pytest.mark.parametrize(
    "command",
    [
        "report own --out page --no-figures",
        "report own --out page",
        "results verify own",
        "check own/half --against other",
    ],
)
def test_a_reader(benchmark: BenchmarkFixture, cells: tuple[int, Path], command: str) -> None:
    """`check` compares half of the cells with as many others, so that it reads as many."""
    count, folder = cells
    peak = benchmark.pedantic(  # type: ignore[no-untyped-call]
        lambda: peak_of(command.split(), folder), rounds=1
    )
    benchmark.extra_info |= {"responses": count * ROWS, "megabytes": round(peak / 1e6)}
    assert peak < MOST


def peak_of(arguments: list[str], folder: Path) -> int:
    """Run a command of cl-bench in a folder and return the most bytes that its processes held."""
    command = [sys.executable, "-m", "cl_bench", *arguments]
    with (
        (folder / "said.txt").open("w") as said,
        subprocess.Popen(command, cwd=folder, stdout=said, stderr=said) as started,
    ):
        process, peak = psutil.Process(started.pid), 0
        while started.poll() is None:
            peak = max(peak, held_by(process))
            time.sleep(0.1)
    assert started.returncode in (0, 1), (folder / "said.txt").read_text()
    return peak


def held_by(process: psutil.Process) -> int:
    """The bytes that a process and its children hold now."""
    held = 0
    try:
        for one in (process, *process.children(recursive=True)):
            held += one.memory_info().rss
    except psutil.Error:  # one of them has just ended
        pass
    return held
