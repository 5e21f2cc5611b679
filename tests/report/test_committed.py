"""The committed leaderboard is what the committed runs say."""

from __future__ import annotations

import re
from math import isclose
from pathlib import Path
from typing import Any

import pytest

from cl_bench.contract.registry import LEARNERS, Registry
from cl_bench.report.page.build import ReportFiles, report
from cl_bench.report.page.html import decoded
from cl_bench.store.packs.layout import home
from cl_bench.store.run_tables import find_runs

ROOT = Path(__file__).parents[2]
RUNS = ROOT / "results" / "runs"
REAL = [ROOT / "results" / "smollm2" / name for name in ("claims/runs", "board")]
PAGES = ROOT / "reports"
NUMBER = re.compile(r"(?<![\w.])-?\d+\.\d+(?:[eE][-+]?\d+)?(?![\w.])")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> ReportFiles:
    return report([RUNS, *REAL], tmp_path_factory.mktemp("reports"))


def test_the_markdown_follows_from_the_runs(again: ReportFiles) -> None:
    assert again.markdown.read_text() == (PAGES / "leaderboard.md").read_text()


def test_the_tables_follow_from_the_runs(again: ReportFiles) -> None:
    for path in again.numbers:
        made, committed = (file.read_text() for file in (path, PAGES / path.name))
        assert NUMBER.split(made) == NUMBER.split(committed)
        pairs = zip(NUMBER.findall(made), NUMBER.findall(committed), strict=True)
        assert [(a, b) for a, b in pairs if not isclose(float(a), float(b), rel_tol=1e-6)] == []


def test_the_page_follows_from_the_runs(again: ReportFiles) -> None:
    made, committed = (
        decoded(page.read_text(encoding="utf-8"))
        for page in (again.html, PAGES / "leaderboard.html")
    )
    assert NUMBER.split(made) == NUMBER.split(committed)
    pairs = zip(NUMBER.findall(made), NUMBER.findall(committed), strict=True)
    # another processor may round a last bit otherwise
    assert [(a, b) for a, b in pairs if not isclose(float(a), float(b), rel_tol=1e-6)] == []


def test_the_figures_of_the_page_are_there_and_no_others(again: ReportFiles) -> None:
    made = {path.name for path in again.figures}
    assert made
    assert made == {path.name for path in (PAGES / "figures").iterdir()}


def test_the_reference_streams_have_a_board(again: ReportFiles) -> None:
    boards = {board.key.stream for board in again.contents.leaderboard.boards}
    assert boards == {"math-to-code", "paper", "gym-arithmetic"}


def test_every_learner_has_its_finished_seeds_on_every_board(again: ReportFiles) -> None:
    assert again.contents.problems == []
    for board in again.contents.leaderboard.boards:
        if board.key.model_name != "embedded":
            continue
        done = {
            row.learner: sum(status == "done" for status in row.status.values())
            for row in board.rows
        }
        assert done.keys() == own(LEARNERS) - NOT_YET
        assert set(done.values()) == {SEEDS}
        assert len(done) == len(board.rows)


SEEDS = 8
NOT_YET = {"sft", "sdft", "sdpo"}
"""Learners that are younger than the committed runs."""


def own(registry: Registry[Any]) -> set[str]:
    """The names that come with the package."""
    return {name for name in registry if registry.plugin(name) is None}


def test_the_real_models_board_has_six_seeds_of_each_learner(again: ReportFiles) -> None:
    (board,) = (
        board for board in again.contents.leaderboard.boards if board.key.model_name == "smollm2"
    )
    assert {row.learner for row in board.rows} == {"rl", "prompt", "fst", "rl-kl", "sft"}
    assert {len(row.status) for row in board.rows} == {6}
    assert {status for row in board.rows for status in row.status.values()} == {"done"}


def test_every_pack_lies_where_its_manifest_says() -> None:
    runs, unreadable = find_runs([RUNS])
    assert unreadable == []
    for run in runs:
        assert run.path.relative_to(RUNS) == home(run.manifest), run.path
