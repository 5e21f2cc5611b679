"""Which prompt belongs to a stage's end: the one in use there, and where it came from."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from cl_bench.contract.prompts import SEED_PROMPT
from cl_bench.export.subject import prompts_at
from cl_bench.store.run_directory import RunDirectory

STAGES = [
    {"domain": "math", "setting": "easy", "steps": 10},
    {"domain": "code", "setting": "easy", "steps": 10},
]
ROWS = [
    # round, step, prompt, parent, text, score, fate
    (1, 10, 0, -1, SEED_PROMPT, 0.25, "kept"),
    (1, 10, 1, 0, "one", 0.5, "kept"),
    (1, 10, 2, 0, "two", math.nan, "rejected"),
    (2, 20, 0, -1, SEED_PROMPT, 0.125, "dropped"),
    (2, 20, 1, 0, "one", 0.5, "kept"),
    (2, 20, 3, 1, "three", 0.5, "kept"),
    (2, 20, 4, 3, "four", 0.75, "kept"),
]


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    manifest = {"stream": {"stages": STAGES}, "config": {"learning": {"seed_prompt": SEED_PROMPT}}}
    directory = RunDirectory.create(tmp_path / "run", manifest)
    names = ("round", "step", "prompt_id", "parent_id", "text", "score", "fate")
    rows = [dict(zip(names, row, strict=True)) for row in ROWS]
    directory.commit(0, {"prompts": rows})
    return directory


def transcript(step: int, prompt: str, text: str) -> dict[str, Any]:
    about = {"step": step, "stage": step // 10, "at": "stage-end", "domain": "math"}
    labels = {"test_set": "stream", "setting": "easy", "prompt": prompt, "weights": "trained"}
    said = {"problem": "p", "response": "r", "score": 0.0, "answer": None, "feedback": ""}
    sample = {"uid": "u", "sample": 0, "system_prompt": text, "reference": None}
    return {**about, **labels, **said, **sample}


def test_without_transcripts_it_is_the_best_of_the_last_round_by_then(run: RunDirectory) -> None:
    first, last = prompts_at(run, 1, final=False), prompts_at(run, 2, final=True)
    assert first.chosen == "one"
    assert [row["text"] for row in first.population] == ["one", SEED_PROMPT]
    assert last.chosen == "four"
    # Equal scores: the older prompt first.
    assert [row["prompt_id"] for row in last.population] == [4, 1, 3]
    assert [row["prompt_id"] for row in last.lineage] == [0, 1, 3, 4]
    assert [row["score"] for row in last.lineage] == [0.25, 0.5, 0.5, 0.75]  # when first scored


def test_transcripts_say_it_exactly(run: RunDirectory) -> None:
    rows = [
        transcript(10, "seed", "s"),
        transcript(10, "learner", "two"),
        transcript(20, "learner", "one"),
    ]
    run.commit(1, {"transcripts": rows})
    assert prompts_at(run, 2, final=True).chosen == "one"
    early = prompts_at(run, 1, final=False)
    assert early.chosen == "two"
    assert [row["prompt_id"] for row in early.lineage] == [0, 2]
    assert early.lineage[-1]["score"] is None


def test_else_the_last_checkpoint_says_it(run: RunDirectory) -> None:
    with run.checkpoints.new() as folder:
        (folder / "fast.json").write_text(json.dumps({"population": [{"text": SEED_PROMPT}]}))
    last = prompts_at(run, 2, final=True)
    assert last.chosen == SEED_PROMPT  # a learner that went back to the seed prompt
    assert [row["prompt_id"] for row in last.lineage] == [0]
    assert prompts_at(run, 1, final=False).chosen == "one"


def test_a_learner_without_prompts_has_the_seed_prompt(tmp_path: Path) -> None:
    seed = "Be brief."
    manifest = {"stream": {"stages": STAGES}, "config": {"learning": {"seed_prompt": seed}}}
    run = RunDirectory.create(tmp_path / "run", manifest)
    found = prompts_at(run, 2, final=True)
    assert found.data() == {
        "prompt": seed,
        "seed_prompt": seed,
        "population": [],
        "lineage": [],
    }
