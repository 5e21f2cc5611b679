"""Problems and responses that a forger hides from the checks: each way is found, all hashes fit."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import cl_bench
from cl_bench.store.run_directory import RunDirectory
from cl_bench.verify.packing import pack
from cl_bench.verify.run import verify_run

from .tampering import INSIDE, Forgery, Tamper, both, edit, option, require_found

ITEMS = "tables/items.parquet"
KEY = ["step", "domain", "test_set", "setting", "prompt", "weights"]
ALL_RIGHT = both(
    edit("items", "score", 1.0, **INSIDE), edit("evaluations", "accuracy", 1.0, **INSIDE)
)


def blank(column: str) -> Tamper:
    """Wrong responses are called right, and lose what their check goes by."""

    def tamper(run: Forgery) -> None:
        wrong = {**INSIDE, "score": 0.0}
        run.tables["items"][column] = run.tables["items"][column].astype("Int64")
        run.edit("items", column, pd.NA, **wrong)
        ALL_RIGHT(run)

    return tamper


@pytest.mark.parametrize("column", ["sample", "completion_tokens", "truncated"])
def test_a_response_that_lacks_what_others_have_is_found(
    column: str, packed_run: Path, tmp_path: Path
) -> None:
    words = f"{column} is missing, though other responses"
    require_found(blank(column), words, ITEMS, packed_run, tmp_path / "forged.zip")


def test_nothing_that_a_whole_run_lacks_is_a_finding(packed_run: Path, tmp_path: Path) -> None:
    run = Forgery(packed_run)
    run.tables["items"]["thought_tokens"] = None
    assert verify_run(run.write(tmp_path / "a.zip")).findings == []


ASK_MORE = option(5_001, "config", "evaluation", "items")


def test_scores_are_judged_however_many_problems_the_configuration_asks(
    packed_run: Path, tmp_path: Path
) -> None:
    forged = both(ASK_MORE, ALL_RIGHT)
    words = "score is 1, but its answer is wrong"
    require_found(forged, words, ITEMS, packed_run, tmp_path / "forged.zip")


def test_a_domain_that_has_fewer_problems_than_were_asked_is_fine(
    tmp_path: Path, tiny_model: Path
) -> None:
    home = tmp_path / "run"
    cl_bench.run(
        "math",
        learner="rl",
        model=str(tiny_model),
        out=home,
        steps=1,
        problems_per_step=1,
        group_size=2,
        max_new_tokens=2,
        items=200,
        samples=1,
        retention_items=0,
        transcripts=0,
        probes=False,
        setting="easy",
    )
    made = tmp_path / "run.zip"
    made.write_bytes(pack(RunDirectory.open(home)).content)
    run = Forgery(made)
    assert set(run.tables["evaluations"]["n_items"]) == {23}  # there are no more in this setting
    ASK_MORE(run)
    report = verify_run(run.write(tmp_path / "more.zip"))
    assert report.findings == []
    assert not any("not made again" in note for note in report.notes)


def test_a_set_that_is_too_large_to_be_made_again_is_noted(
    packed_run: Path, tmp_path: Path
) -> None:
    run = Forgery(packed_run)
    run.edit("evaluations", "n_items", 5_001, domain="math", test_set="stream")
    report = verify_run(run.write(tmp_path / "forged.zip"))
    assert "problems of math not made again" in report.notes


def without_its_hardest(test_set: str) -> Tamper:
    """The problem that was answered worst is asked nowhere, and every number says so."""

    def tamper(run: Forgery) -> None:
        items = run.tables["items"]
        here = items[items["test_set"].eq(test_set) & items["domain"].eq("code")]
        worst = here.groupby("uid")["score"].mean().idxmin()
        for name in ("items", "transcripts"):
            frame = run.tables[name]
            run.tables[name] = frame[frame["uid"].ne(worst)].reset_index(drop=True)
        run.edit("evaluations", "n_items", lambda old: old - 1, domain="code", test_set=test_set)

    return tamper


@pytest.mark.parametrize("more", [False, True])
@pytest.mark.parametrize("test_set", ["stream", "harder"])
def test_a_problem_that_no_evaluation_asked_is_found(
    test_set: str, more: bool, packed_run: Path, tmp_path: Path
) -> None:
    forged = without_its_hardest(test_set)
    forged = both(forged, ASK_MORE) if more else forged
    require_found(forged, "is one that was left out", ITEMS, packed_run, tmp_path / "forged.zip")
