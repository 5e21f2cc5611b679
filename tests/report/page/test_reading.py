"""Runs that are read for a page: what stays of them."""

from __future__ import annotations

import csv
import gc
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cl_bench.report.page.build import report
from cl_bench.report.page.contents import contents, run_names
from cl_bench.report.page.reading import Reading
from cl_bench.store.parts import Parts
from cl_bench.store.run_tables import find_runs
from tests.report.synthetic_runs import flat, value, write_run, write_runs

RUNS = 12


def held(folder: Path, **fields: Any) -> int:
    """Bytes that are held when runs with these fields have been read."""
    for seed in range(RUNS):
        write_run(folder / f"seed-{seed}", seed=seed, **fields)
    runs, _ = find_runs([folder])
    gc.collect()
    tracemalloc.start()
    reading = Reading(runs, run_names([run.path for run in runs]), 1)
    entries = list(reading)
    gc.collect()
    found, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(entries) == len(reading.facts) == RUNS
    return found


def test_what_is_held_of_a_run_does_not_grow_with_its_responses(tmp_path: Path) -> None:
    held(tmp_path / "first")  # what is imported and cached with the first runs
    few = held(tmp_path / "few", items=4, samples=2)
    many = held(tmp_path / "many", items=4, samples=100)
    assert many < 1.2 * few


@pytest.fixture
def parts_read(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[Path, str]]:
    """How often each table of each run is read, by run and table."""
    found: Counter[tuple[Path, str]] = Counter()
    read = Parts.read

    def counted(self: Parts, table: str, part: int, columns: Any = None) -> Any:
        found[self._home, table] += 1
        return read(self, table, part, columns)

    monkeypatch.setattr(Parts, "read", counted)
    return found


def test_a_report_reads_every_table_of_a_run_once(
    tmp_path: Path, parts_read: Counter[tuple[Path, str]]
) -> None:
    write_runs(tmp_path / "runs", 80)
    report([tmp_path / "runs"], tmp_path / "out", figures=False)
    assert len({run for run, _ in parts_read}) == 80
    assert set(parts_read.values()) == {1}


Limit = Callable[..., None]


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Limit:
    """Sets limits of a page."""

    def sets(**given: int) -> None:
        for name, most in given.items():
            monkeypatch.setattr(f"cl_bench.report.page.contents.{name}", most)

    return sets


def test_a_page_of_very_many_runs_lists_some_and_a_file_has_all(
    tmp_path: Path, limit: Limit
) -> None:
    for learner, share in (("fst", 0.75), ("rl", 0.5)):
        for seed in range(4):
            folder = tmp_path / "runs" / f"{learner}-{seed}"
            write_run(folder, learner=learner, seed=seed, accuracy=flat(share))
    write_run(tmp_path / "runs" / "bad", learner="rl", seed=4, status="failed", reason="no memory")
    whole = report([tmp_path / "runs"], tmp_path / "whole", figures=False)
    assert not (tmp_path / "whole" / "leaderboard-runs.csv").exists()
    limit(MOST_RUNS=5)
    made = report([tmp_path / "runs"], tmp_path / "out", figures=False)
    listed = [one.facts.name for one in made.contents.listed]
    assert listed == ["bad", "fst-0", "fst-1", "rl-0", "rl-1"]
    page = made.html.read_text(encoding="utf-8")
    assert page.count('href="#run=fst-0"') == 2  # in the row, and in the list of runs
    assert "#run=fst-3" not in page
    assert "Listed are 5 of 9 runs" in page
    text = (tmp_path / "out" / "leaderboard-runs.csv").read_text(encoding="utf-8")
    lines = list(csv.DictReader(text.splitlines()))
    assert [line["run"] for line in lines] == [one.facts.name for one in whole.contents.runs]
    best = next(line for line in lines if line["run"] == "fst-3")
    assert (best["board"], float(best["average_accuracy"])) == ("math-to-code", 0.75)
    failed = next(line for line in lines if line["run"] == "bad")
    assert (failed["status"], failed["average_accuracy"]) == ("failed", "")
    assert failed["problems"] == "failed: no memory"
    ranks = [board.rows[0].ranks for board in made.contents.leaderboard.boards]
    assert ranks == [board.rows[0].ranks for board in whole.contents.leaderboard.boards]


def test_a_file_that_is_not_needed_any_more_goes(tmp_path: Path, limit: Limit) -> None:
    write_runs(tmp_path / "runs", 4)
    limit(MOST_RUNS=2)
    report([tmp_path / "runs"], tmp_path / "out", figures=False)
    assert (tmp_path / "out" / "leaderboard-runs.csv").exists()
    limit(MOST_RUNS=4)
    report([tmp_path / "runs"], tmp_path / "out", figures=False)
    assert not (tmp_path / "out" / "leaderboard-runs.csv").exists()


def test_a_page_shows_the_best_of_very_many_rows_and_the_largest_boards(
    tmp_path: Path, limit: Limit
) -> None:
    for place, learner in enumerate(("rl", "prompt", "rl-kl", "rl-replay", "fst"), 1):
        write_run(tmp_path / "a" / learner, learner=learner, accuracy=flat(place / 8))
    for rate in range(1, 5):
        config = {"learning.learning_rate": rate / 1000}
        write_run(tmp_path / "a" / f"{rate}", accuracy=flat(rate / 16), config=config)
    write_run(tmp_path / "b", stages=(("facts", 20),))
    limit(MOST_ROWS=3, MOST_ON_PAGE=5, MOST_FOLDED=2)
    made = report([tmp_path], tmp_path / "out", figures=False)
    ((drawn, title),) = made.contents.shown
    assert title == "math-to-code"
    shown = [value(row.values["average_accuracy"]) for row in drawn.board.rows]
    assert shown == [0.625, 0.5, 0.375]
    assert drawn.board.notes[0].startswith("Shown are the best 3 of 5 rows")
    assert drawn.board.rows[0].choice == "1 of 5 settings, with the best mean"
    folded = [value(row.values["average_accuracy"]) for row in drawn.board.rows[0].folded]
    assert folded == [4 / 16, 3 / 16]
    assert "Shown are the best 2 of 4 other settings of FST" in drawn.board.notes[1]
    page = made.html.read_text(encoding="utf-8")
    assert "Shown are 1 of 2 boards" in page
    assert len((tmp_path / "out" / "leaderboard-runs.csv").read_text().splitlines()) == 11


def test_very_many_problems_are_not_all_named(tmp_path: Path, monkeypatch: Any) -> None:
    for seed in range(3):
        write_run(tmp_path / "runs" / f"{seed}", seed=seed, status="failed", reason="no memory")
    for module in ("contents", "sections", "markdown"):
        monkeypatch.setattr(f"cl_bench.report.page.{module}.MOST_PROBLEMS", 1)
    made = report([tmp_path / "runs"], tmp_path / "out", figures=False)
    for file in (made.html, made.markdown):
        assert "Named are 1 of 3 problems" in file.read_text(encoding="utf-8")


def test_several_processes_read_the_same(tmp_path: Path) -> None:
    write_runs(tmp_path, 120)
    runs, unreadable = find_runs([tmp_path])
    one, two = (contents(runs, unreadable, jobs=jobs) for jobs in (1, 2))
    assert [run.metrics for run in one.runs] == [run.metrics for run in two.runs]
    assert [run.digest.manifest for run in one.runs] == [run.digest.manifest for run in two.runs]
