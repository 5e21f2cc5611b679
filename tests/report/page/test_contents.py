"""What a report says: names, titles, problems, and the runs that have a page."""

from __future__ import annotations

import json
from pathlib import Path

from cl_bench.metrics.undefined import Undefined
from cl_bench.report.page.build import ReportFiles
from cl_bench.report.page.contents import Contents, contents, introduction, run_names
from cl_bench.store.run_tables import find_runs
from tests.report.page import hostile
from tests.report.synthetic_runs import write_run


def read(folder: Path) -> Contents:
    return contents(*find_runs([folder]))


def test_runs_are_called_by_their_place_below_the_common_folder(tmp_path: Path) -> None:
    paths = [tmp_path / "a" / "one", tmp_path / "b" / "one", tmp_path / "b" / "two.zip"]
    assert list(run_names(paths).values()) == ["a/one", "b/one", "b/two"]
    assert list(run_names(paths[:1]).values()) == ["one"]
    both = [tmp_path / "one", tmp_path / "one.zip"]
    assert list(run_names(both).values()) == ["one", "one.zip"]


def test_every_readable_run_is_shown_with_the_metrics_of_its_board(made: ReportFiles) -> None:
    found = made.contents
    names = [one.facts.name for one in found.runs]
    assert names == sorted(names)
    assert len(names) == 16
    assert "broken" not in names
    by_name = {one.facts.name: one for one in found.runs}
    fst = by_name["math-fst-0"]
    assert fst.board is not None
    row = next(r for r in found.leaderboard.boards[fst.board].rows if r.learner == "fst")
    assert fst.metrics["average_accuracy"] == row.per_seed["average_accuracy"][0]
    assert isinstance(by_name["lost"].metrics["average_accuracy"], Undefined)
    assert by_name["lost"].problems == ("diverged: loss is NaN",)
    assert fst.problems == ()


def test_boards_are_told_apart_by_what_differs(tmp_path: Path) -> None:
    for place, model in enumerate(("embedded", "models/other")):
        write_run(
            tmp_path / f"model-{place}",
            manifest={"model": model, "model_files": {"m": model}},
            config={"model": model},
        )
    write_run(tmp_path / "version", stages=(("facts", 20),), stream={"version": "2"})
    write_run(tmp_path / "first", stages=(("facts", 20),))
    write_run(tmp_path / "alone", stages=(("physics", 20),))
    for temperature in (0.5, 0.7):
        write_run(
            tmp_path / f"warm-{temperature}",
            stages=(("physics", 30),),
            stream={"name": "warm"},
            config={"learning.temperature": temperature},
        )
    found = read(tmp_path)
    assert sorted(found.titles) == [
        "facts, version 1",
        "facts, version 2",
        "math-to-code, embedded",
        "math-to-code, models/other",
        "physics",
        "warm (1)",
        "warm (2)",
    ]
    assert len({board.anchor for board in found.boards}) == 7


def test_a_hostile_stream_has_a_harmless_anchor(tmp_path: Path) -> None:
    write_run(tmp_path / "a", stream={"name": hostile.NAME})
    write_run(tmp_path / "b", stream={"name": "##"})
    anchors = {board.anchor for board in read(tmp_path).boards}
    assert all(set(anchor) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for anchor in anchors)
    assert "board" in anchors


def test_a_run_whose_tables_are_damaged_is_a_problem_and_hurts_no_other(tmp_path: Path) -> None:
    write_run(tmp_path / "good", seed=0)
    write_run(tmp_path / "bad", seed=1)
    file = next((tmp_path / "bad" / "tables" / "steps").iterdir())  # which no metric reads
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    found = read(tmp_path)
    assert [one.facts.name for one in found.runs] == ["good"]
    (problem,) = found.problems
    assert problem.kind == "unreadable"
    assert "steps" in found.local(problem.reason)
    assert str(tmp_path) not in found.local(problem.reason)


def test_a_manifest_without_what_a_page_needs_is_a_problem(tmp_path: Path) -> None:
    write_run(tmp_path / "good")
    bad = write_run(tmp_path / "bad", seed=1) / "manifest.json"
    manifest = json.loads(bad.read_text())
    del manifest["learner"]
    bad.write_text(json.dumps(manifest))
    found = read(tmp_path)
    assert [one.facts.name for one in found.runs] == ["good"]
    assert [problem.kind for problem in found.problems] == ["unreadable"]


def test_the_introduction_counts_runs_and_what_is_wrong(made: ReportFiles) -> None:
    first, problems, flags = introduction(made.contents)
    assert first.startswith("16 runs of 5 learners on 3 streams with 2 models.")
    assert problems == "Problems: 1 diverged, 1 failed, 1 unreadable."
    assert "dirty tree (1)" in flags
