"""Forged evaluations and items: each is found, in its file and with the reason, all hashes fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from cl_bench.verify.run import verify_run

from .tampering import (
    INSIDE,
    Forgeries,
    Forgery,
    Tamper,
    both,
    drop,
    duplicate,
    edit,
    forgeries,
    require_found,
)

EVALUATIONS, ITEMS = "tables/evaluations.parquet", "tables/items.parquet"


def swap_scores(run: Forgery) -> None:
    """A right response becomes wrong and a wrong one right, of equal length: accuracy stays."""
    items = run.tables["items"]
    here = items[run.rows("items", **INSIDE)]
    right, wrong = (here[here["score"].eq(score)].index[0] for score in (1.0, 0.0))
    items.loc[[right, wrong], "score"] = [0.0, 1.0]


def swap_problems(run: Forgery) -> None:
    """All responses of one evaluation are given to other problems."""
    items = run.tables["items"]
    rows = run.rows("items", **INSIDE)
    names = sorted(set(items.loc[rows, "uid"]))
    others = dict(zip(names, [f"{name}0" for name in names], strict=True))
    items.loc[rows, "uid"] = items.loc[rows, "uid"].map(others)


def end_early(run: Forgery) -> None:
    """The second stage never took place."""
    for name in ("evaluations", "items", "steps", "ledger", "prompts", "transcripts", "timing"):
        frame = run.tables[name]
        run.tables[name] = frame[frame["step"] <= 3].reset_index(drop=True)


def longer_responses(run: Forgery) -> None:
    run.edit("items", "completion_tokens", lambda old: old + 1, **INSIDE)


def nearer(divergence: float) -> float:
    return divergence / 2


FORGERIES: Forgeries = {
    EVALUATIONS: {
        "accuracy is 0.75, but the mean score of its items is": edit(
            "evaluations", "accuracy", 0.75, **INSIDE, weights="trained"
        ),
        "accuracy · n is not whole: 0.3 of 8 responses": edit(
            "evaluations", "accuracy", 0.3, **INSIDE
        ),
        "accuracy is 1.5, above 1": edit("evaluations", "accuracy", 1.5, **INSIDE),
        "accuracy is not a number": edit("evaluations", "accuracy", float("nan"), **INSIDE),
        "n_samples is 2, but the number of samples in items is 1": drop(
            "items", **INSIDE, sample=1
        ),
        "responses of this row, not n_items · n_samples = 8": drop("items", **INSIDE, score=0.0),
        "there are no items of this row": drop("items", **INSIDE),
        "step 2, math, stream, easy, learner, trained: the row is missing": both(
            drop("evaluations", **INSIDE), drop("items", **INSIDE)
        ),
        "no evaluation at step 2": both(
            *(drop(name, step=2) for name in ("evaluations", "items", "ledger"))
        ),
        "facts, retention, easy, stated, trained: the row is missing": both(
            *(drop(name, domain="facts") for name in ("evaluations", "items"))
        ),
        "seed, base: the row is missing": both(
            *(drop(name, weights="base") for name in ("evaluations", "items"))
        ),
        "no evaluation at step 5": end_early,
        "but the mean length of its items is": longer_responses,
        "kl_policy_base is -0.01, below 0": edit("evaluations", "kl_policy_base", -0.01, **INSIDE),
        "kl_base_policy is 0.02 at step 0, where the policy is still the base; it must be 0": edit(
            "evaluations", "kl_base_policy", 0.02, step=0, domain="code", weights="trained"
        ),
        "kl_policy_base is 0.02 of the base itself; it must be 0": edit(
            "evaluations", "kl_policy_base", 0.02, step=6, domain="code", weights="base"
        ),
        "kl_policy_base per token times its tokens is not kl_policy_base_sequence times": edit(
            "evaluations", "kl_policy_base", lambda old: old / 2, step=6, weights="trained"
        ),
        "kl_deployed_start per token times its tokens is not kl_deployed_start_sequence": edit(
            "evaluations", "kl_deployed_start", lambda old: old / 2, **INSIDE
        ),
        "kl_deployed_start under the seed prompt is not kl_policy_base": both(
            edit("evaluations", "kl_deployed_start", nearer, step=6, prompt="seed"),
            edit("evaluations", "kl_deployed_start_sequence", nearer, step=6, prompt="seed"),
        ),
        "kl_deployed_start is missing": edit(
            "evaluations", "kl_deployed_start", float("nan"), **INSIDE
        ),
        "kl_deployed_start is measured on the stream's own problems only": edit(
            "evaluations", "kl_deployed_start", 0.0, test_set="retention"
        ),
        "but the share of its items that are truncated is": edit(
            "evaluations", "truncation_rate", lambda old: 1 - old, **INSIDE
        ),
        "format_rate is 1, but the share of its items that are formatted is nan": edit(
            "evaluations", "format_rate", 1.0, **INSIDE
        ),
        "at step 0 the base answers as the policy does, but these rows differ": edit(
            "evaluations", "entropy", 0.9, step=0, domain="math", weights="base"
        ),
        "at is stage-end, but by the stream it is inside": edit(
            "evaluations", "at", "stage-end", **INSIDE
        ),
        "stage is 2, but by the stream it is 1": edit("evaluations", "stage", 2, **INSIDE),
        "the run is not evaluated at this step": edit("evaluations", "step", 1, **INSIDE),
        "the configuration asks for no such row": edit("evaluations", "setting", "hard", **INSIDE),
        "prompt is none of seed, learner, stated": edit("evaluations", "prompt", "best", **INSIDE),
        "the same row stands twice": duplicate("evaluations"),
        "rollouts is 10, but the ledger has": edit("evaluations", "rollouts", 10, step=6),
    },
    ITEMS: {
        "no row of evaluations is of this item": drop("evaluations", **INSIDE),
        "but its answer is wrong": swap_scores,
        "score is 1, but its answer is wrong": both(
            edit("items", "score", 1.0, **INSIDE), edit("evaluations", "accuracy", 1.0, **INSIDE)
        ),
        "has no such test problem": swap_problems,
        "its problems are not those that the other evaluations asked": edit(
            "items", "uid", lambda old: old.replace("math", "code"), **INSIDE
        ),
        "thought_tokens is 1000000, more than completion_tokens": edit(
            "items", "thought_tokens", 1_000_000, **INSIDE
        ),
        "truncated is 2, not 0 or 1": edit("items", "truncated", 2, **INSIDE),
        "the same row stands twice": duplicate("items"),
    },
}


@pytest.mark.parametrize(("file", "words", "tamper"), forgeries(FORGERIES))
def test_a_forged_pack_is_found_out(
    file: str, words: str, tamper: Tamper, packed_run: Path, tmp_path: Path
) -> None:
    require_found(tamper, words, file, packed_run, tmp_path / "forged.zip")


@pytest.mark.parametrize(
    "column",
    [
        *("stage", "at", "domain", "test_set", "setting", "prompt", "weights", "step"),
        *("accuracy", "n_items", "n_samples", "completion_tokens", "temperature"),
        *("kl_policy_base", "kl_policy_base_sequence", "kl_policy_base_tokens"),
        *("kl_base_policy", "kl_base_policy_sequence", "kl_base_policy_tokens"),
        *("kl_deployed_start", "kl_deployed_start_sequence", "truncation_rate"),
        *("thought_tokens", "thought_truncation_rate"),
        *("samples_slow", "rollouts"),
    ],
)
def test_no_number_of_an_evaluation_stands_alone(
    column: str, packed_run: Path, tmp_path: Path
) -> None:
    """One cell changes a little; all but entropy is held against something else."""
    forged = Forgery(packed_run)
    frame = forged.tables["evaluations"]
    (place,) = frame.index[forged.rows("evaluations", **INSIDE)]
    others: dict[str, object] = {
        "at": "start",
        "domain": "code",
        "test_set": "harder",
        "setting": "default",
    }
    others |= {"prompt": "seed", "weights": "base", "truncation_rate": 0.5}
    others |= {"thought_tokens": 1.0, "thought_truncation_rate": 0.5}
    old = frame.loc[place, column]
    frame.loc[place, column] = others.get(column) or (old + 1 if old >= 1 else old * 1.01)
    report = verify_run(forged.write(tmp_path / "forged.zip"))
    assert any(found.table == "evaluations" and found.row == place for found in report.findings)
