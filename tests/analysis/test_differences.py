"""Two runs are compared column by column, and the clock is left out."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import cl_bench
from cl_bench.analysis.differences import differences
from cl_bench.store.run_directory import RunDirectory

TINY = {
    "stream": "math",
    "learner": "prompt",
    "setting": "easy",
    "steps": 2,
    "eval_every": 1,
    "proposals": 1,
    "round_exercises": 2,
    "items": 2,
    "samples": 1,
    "max_new_tokens": 8,
    "probes": False,
    "retention_items": 0,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> cl_bench.Run:
    out = tmp_path_factory.mktemp("runs") / "one"
    return cl_bench.run(model=str(tiny_model), out=out, **TINY)  # type: ignore[arg-type]


def test_a_run_equals_itself(run: cl_bench.Run) -> None:
    assert differences(run, run) == []


def test_another_seed_is_seen_in_what_it_changes(
    run: cl_bench.Run, tiny_model: Path, tmp_path: Path
) -> None:
    other = cl_bench.run(model=str(tiny_model), seed=1, out=tmp_path / "run", **TINY)  # type: ignore[arg-type]
    found = differences(run, other)
    assert any(line.startswith("items.uid: 12 of 12 rows, first 'math/test/0/") for line in found)
    assert not any("seconds" in line or line.startswith("timing") for line in found)


def test_a_run_with_fewer_rows_differs(run: cl_bench.Run, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / "run")
    RunDirectory.open(tmp_path / "run").discard_after(1)
    found = differences(run, cl_bench.Run(tmp_path / "run"))
    assert "steps.*: 2 and 1 rows" in found


def test_a_number_that_differs_is_given_with_its_distance(
    run: cl_bench.Run, tmp_path: Path
) -> None:
    path = tmp_path / "run"
    shutil.copytree(run.path, path)
    directory = RunDirectory.open(path)
    ledger = directory.table("ledger")
    rows = ledger[ledger["step"] == 2].to_dict("records")
    directory.discard_after(1)
    changed = [{**row, "rollouts": row["rollouts"] + 5} for row in rows]
    directory.commit(2, {"ledger": changed})
    found = differences(run, cl_bench.Run(path))
    assert any(
        line.startswith("ledger.rollouts: 2 of 6 rows") and line.endswith("at most 5 apart")
        for line in found
    )
