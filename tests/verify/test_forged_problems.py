"""Problems and responses that a forger hides from the checks: each way is found, all hashes fit."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from cl_bench.verify.run import verify_run

from .tampering import INSIDE, Forgery, Tamper, both, edit, require_found

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
