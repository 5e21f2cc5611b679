"""Plasticity in the leaderboard, from the tables that `cl-bench plasticity` writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from cl_bench.metrics.stats.student import Estimate
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.board import BoardRow
from cl_bench.report.plasticity_tables import find_tables
from tests.report.synthetic_runs import leaderboard_of, write_run

HEAD = "probe,steps,samples,seeds,run,stream,learner,run_seed,stage,plasticity_ratio,note"


def line(run: str, seed: int, stage: int, ratio: str, note: str = "", probe: str = "facts") -> str:
    return f"{probe},60,3840,{seed},runs/{run},math-to-code,fst,{seed},{stage},{ratio},{note}"


def write_table(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([HEAD, *lines]) + "\n")


def only_row(folder: Path) -> BoardRow:
    (board,) = leaderboard_of(folder).boards
    (row,) = board.rows
    return row


def test_a_row_has_the_ratio_after_the_last_stage_by_seed(tmp_path: Path) -> None:
    for seed in range(2):
        write_run(tmp_path / "runs" / f"fst-{seed}", seed=seed)
    write_table(
        tmp_path / "plasticity" / "facts.csv",
        line("fst-0", 0, 1, "0.1"),
        line("fst-0", 0, 2, "0.5"),
        line("fst-1", 1, 2, "1.0"),
    )
    row = only_row(tmp_path)
    assert row.per_seed["plasticity_ratio"] == {0: 0.5, 1: 1.0}
    found = row.values["plasticity_ratio"]
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(0.75)


def test_several_probes_are_averaged_where_a_run_has_all_of_them(tmp_path: Path) -> None:
    for seed in range(3):
        write_run(tmp_path / "runs" / f"fst-{seed}", seed=seed)
    write_table(
        tmp_path / "p" / "facts.csv", line("fst-0", 0, 2, "0.5"), line("fst-1", 1, 2, "0.75")
    )
    write_table(
        tmp_path / "p" / "star-graph.csv",
        line("fst-0", 0, 2, "1.0", probe="star-graph"),
        line("fst-2", 2, 2, "", "the probe diverged", probe="star-graph"),
    )
    per_seed = only_row(tmp_path).per_seed["plasticity_ratio"]
    assert per_seed[0] == 0.75
    assert per_seed[1] == Undefined("its model was not probed on star-graph")
    assert per_seed[2] == Undefined("its model was not probed on facts")


def test_a_ratio_that_is_none_gives_the_note_of_the_table(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "fst-0")
    write_table(tmp_path / "facts.csv", line("fst-0", 0, 2, "", "the probe diverged"))
    assert only_row(tmp_path).values["plasticity_ratio"] == Undefined("the probe diverged")
    write_table(tmp_path / "facts.csv", line("fst-0", 0, 2, "inf"))
    found = only_row(tmp_path).values["plasticity_ratio"]
    assert found == Undefined("its probe has no finite ratio")


def test_without_a_table_the_reason_says_so(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    found = only_row(tmp_path).values["plasticity_ratio"]
    assert found == Undefined("no table of cl-bench plasticity")


def test_runs_of_one_folder_name_have_each_its_own_ratio(tmp_path: Path) -> None:
    for place, rate in (("low", 1e-5), ("high", 9e-3)):
        write_run(tmp_path / place / "fst-0", config={"learning.learning_rate": rate})
    lines = [
        line("fst-0", 0, 2, ratio).replace("runs/fst-0", str(tmp_path / place / "fst-0"))
        for place, ratio in (("low", "0.4"), ("high", "0.95"))
    ]
    found = []
    for count in (2, 1):
        write_table(tmp_path / "plasticity" / "facts.csv", *lines[:count])
        (board,) = leaderboard_of(tmp_path).boards
        by_rate = {
            dict(row.configured)["learning_rate"]: row.per_seed["plasticity_ratio"][0]
            for row in (*board.rows, *board.rows[0].folded)
        }
        found.append((by_rate[1e-5], by_rate[9e-3]))
    both, only = found
    assert both == (0.4, 0.95)
    assert only == (0.4, Undefined("its model was not probed on facts"))


def test_folders_that_links_lead_to_are_not_searched(tmp_path: Path) -> None:
    write_table(tmp_path / "tables" / "facts.csv", line("run", 0, 2, "0.5"))
    for name in ("latest", "previous"):
        (tmp_path / name).symlink_to(tmp_path)
    assert len(find_tables([tmp_path])) == 1


def test_probes_are_runs_but_no_rows(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "fst-0")
    write_table(tmp_path / "plasticity" / "facts.csv", line("fst-0", 0, 2, "0.5"))
    write_run(tmp_path / "plasticity" / "runs" / "probe", learner="rl", stages=(("facts", 20),))
    assert only_row(tmp_path).learner == "fst"


def test_other_files_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "short.csv").write_text("probe,steps,samples\n1,2\n")
    (tmp_path / "empty.csv").write_text(HEAD + "\n")
    write_table(write_run(tmp_path / "run") / "inside.csv", line("run", 0, 2, "0.5"))
    assert find_tables([tmp_path, tmp_path / "nowhere"]) == []
    write_table(tmp_path / "good.csv", line("run", 0, 2, "0.5"))
    (table,) = find_tables([tmp_path, tmp_path / "good.csv"])
    assert (table.probe, len(table.rows)) == ("facts", 1)
