"""Greedy responses and validation problems in a run: what they must be, and forged ones."""

from __future__ import annotations

from pathlib import Path

import pytest

import cl_bench
from cl_bench.store.run_directory import RunDirectory
from cl_bench.verify.packing import pack
from cl_bench.verify.run import verify_run

from .tampering import Tamper, drop, edit, option, require_found

EVALUATIONS, ITEMS = "tables/evaluations.parquet", "tables/items.parquet"
GREEDY, VALIDATION = {"test_set": "greedy"}, {"test_set": "validation"}


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A packed run that asks for both, a stage of three steps."""
    folder = tmp_path_factory.mktemp("verified")
    cl_bench.run(
        "math",
        learner="rl",
        model=str(tiny_model),
        out=folder / "run",
        steps=3,
        eval_every=2,
        problems_per_step=2,
        group_size=2,
        max_new_tokens=6,
        items=3,
        samples=2,
        retention_items=2,
        greedy=True,
        validation_items=4,
        setting="easy",
    )
    made = folder / "run.zip"
    made.write_bytes(pack(RunDirectory.open(folder / "run")).content)
    return made


def test_both_are_fine_as_they_were_made(packed: Path) -> None:
    assert [found.text() for found in verify_run(packed).findings] == []


@pytest.mark.parametrize(
    ("file", "words", "tamper"),
    [
        (
            EVALUATIONS,
            "temperature is not 0 (greedy)",
            edit("evaluations", "temperature", 1.0, **GREEDY),
        ),
        (
            EVALUATIONS,
            "temperature is not 1.0",
            edit("evaluations", "temperature", 0, **VALIDATION),
        ),
        (EVALUATIONS, "n_samples is not 1 (greedy)", edit("evaluations", "n_samples", 2, **GREEDY)),
        (EVALUATIONS, "n_items is 9, more than 4", edit("evaluations", "n_items", 9, **VALIDATION)),
        (
            EVALUATIONS,
            "step 2, math, validation, easy, learner, trained: the row is missing",
            drop("evaluations", step=2, **VALIDATION),
        ),
        (
            EVALUATIONS,
            "step 3, math, greedy, easy, learner, trained: the row is missing",
            drop("evaluations", step=3, **GREEDY),
        ),
        (
            EVALUATIONS,
            "kl_policy_base is 0.1 where it is not measured",
            edit("evaluations", "kl_policy_base", 0.1, step=3, **GREEDY),
        ),
        (
            EVALUATIONS,
            "entropy is not a number",
            edit("evaluations", "entropy", float("nan"), test_set="stream"),
        ),
        (
            EVALUATIONS,
            "the configuration asks for no such row",
            option(False, "config", "evaluation", "greedy"),
        ),
        (
            ITEMS,
            "has no such test problem: math, validation, easy",
            edit("items", "uid", lambda old: old.replace("validation", "test"), **VALIDATION),
        ),
    ],
)
def test_what_was_changed_is_found(
    file: str, words: str, tamper: Tamper, packed: Path, tmp_path: Path
) -> None:
    require_found(tamper, words, file, packed, tmp_path / "forged.zip")
