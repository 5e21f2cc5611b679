"""A stream over domains of every source: run, interrupted and resumed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import cl_bench
from cl_bench.analysis import differences
from cl_bench.api import resume
from cl_bench.contract.errors import OtherSoftwareError, RunDirectoryError, UsageError
from cl_bench.execution.progress import Quiet
from cl_bench.verify.run import verify_run
from tests.tasks.hub_copies import COPIES, write_copy

STREAM = """
retention = ["gym/leg_counting"]

[[stage]]
domain = "hub/gsm8k"

[[stage]]
domain = "gym/chain_sum"
options = { max_terms = 3 }

[[stage]]
domain = "my.jsonl"
options = { verifier = "number" }

[[stage]]
domain = "math"
"""


class Interrupted(Quiet):
    def step(self, step: int, stage: int, record: object) -> None:
        if step == 3:
            raise KeyboardInterrupt


@pytest.fixture
def options(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    write_copy(tmp_path / "copies", "openai/gsm8k")
    monkeypatch.setenv("CL_BENCH_HUB", str(tmp_path / "copies"))
    rows = [{"prompt": f"What is {n} + 5?", "answer": n + 5} for n in range(60)]
    (tmp_path / "my.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "mixed.toml").write_text(STREAM)
    sizes = dict.fromkeys(("items", "samples", "retention_items", "problems_per_step"), 2)
    return {
        "stream": str(tmp_path / "mixed.toml"),
        "learner": "rl",
        "model": str(tiny_model),
        "steps": 2,
        "eval_every": 2,
        "group_size": 2,
        "max_new_tokens": 4,
        **sizes,
    }


def comparable(run: cl_bench.Run, table: str) -> pd.DataFrame:
    frame = run.table(table)
    return frame.drop(columns=[column for column in frame if column == "seconds"])


def test_hub_gym_file_and_micro_stages_run_and_resume_with_the_same_tables(
    options: dict[str, Any], tmp_path: Path
) -> None:
    whole = cl_bench.run(out=tmp_path / "whole", **options)
    assert whole.status == "done"
    stages = whole.manifest["stream"]["stages"]
    domains = [stage["domain"] for stage in stages]
    assert domains == ["hub/gsm8k", "gym/chain_sum?max_terms=3", "file/my.jsonl", "math"]
    assert set(whole.table("items")["domain"]) == {*domains, "gym/leg_counting"}
    with pytest.raises(KeyboardInterrupt):
        cl_bench.run(out=tmp_path / "stopped", progress=Interrupted(), **options)
    resumed = resume(tmp_path / "stopped")
    assert resumed.status == "done"
    for table in differences.TABLES:
        pd.testing.assert_frame_equal(comparable(resumed, table), comparable(whole, table))


def test_a_begun_run_is_not_resumed_on_other_rows_of_the_hub(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt):
        cl_bench.run(out=tmp_path / "run", progress=Interrupted(), **options)
    fewer = {key: rows[:-1] for key, rows in COPIES["openai/gsm8k"].items()}
    write_copy(tmp_path / "other", "openai/gsm8k", {**fewer})
    monkeypatch.setenv("CL_BENCH_HUB", str(tmp_path / "other"))
    with pytest.raises((RunDirectoryError, OtherSoftwareError, UsageError), match="hub/gsm8k"):
        resume(tmp_path / "run")


@pytest.mark.parametrize("learner", ["sft", "sdft"])
def test_learners_from_solutions_take_those_of_every_source(
    options: dict[str, Any], learner: str, tmp_path: Path
) -> None:
    run = cl_bench.run(out=tmp_path / "run", **options | {"learner": learner})
    fitted = run.table("ledger")["solution_tokens"].max()
    assert bool(fitted > 0) is (learner == "sft")
    assert verify_run(tmp_path / "run").findings == []


@pytest.mark.parametrize("learner", ["sft", "sdft"])
@pytest.mark.usefixtures("hub_copies")
def test_problems_without_a_solution_to_show_are_refused_before_a_run(
    options: dict[str, Any], learner: str, tmp_path: Path
) -> None:
    pytest.importorskip("langdetect")
    given = {"learner": learner, "stream": "hub/ifeval", "out": tmp_path / "none"}
    with pytest.raises(UsageError, match=r"hub/ifeval .*none to show.* such as rl"):
        cl_bench.run(**options | given)
    assert not (tmp_path / "none").exists()
