"""The numbers of `evaluations`, computed again from the single responses in `items`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cl_bench.verify.case import LABEL, Case

if TYPE_CHECKING:
    import pandas as pd

_ROW = ["step", *LABEL]
_SET = ["domain", "test_set", "setting"]


def recomputed(case: Case) -> None:
    """Accuracy, counts and lengths are those of the items, and every item has its evaluation."""
    frame = _with_items(case)
    lost = frame["scored"].isna()
    case.rows("evaluations", lost & _keeps_items(case, frame), "there are no items of this row")
    _require(case, "accuracy", "score", "the mean score of its items")
    _require(case, "n_items", "problems", "the number of its problems in items")
    _require(case, "n_samples", "samples", "the number of samples in items")
    _require(case, "completion_tokens", "tokens", "the mean length of its items")
    _require(case, "kl_policy_base_tokens", "first", "the length of first samples")
    due = frame["n_items"] * frame["n_samples"]
    uneven = ~lost & frame["scored"].ne(due)
    reason = "items has {} responses of this row, not n_items · n_samples = {}"
    case.compare("evaluations", uneven, reason, frame["scored"], due)
    _shares(case, "format_rate", "formatted")
    _shares(case, "truncation_rate", "truncated")
    _orphans(case)


def whole(case: Case) -> None:
    """Where every response is right or wrong, accuracy counts whole responses."""
    frame = _with_items(case)
    count = frame["n_items"] * frame["n_samples"]
    right = frame["accuracy"] * count
    broken = frame["binary"].eq(True) & ((right - right.round()).abs() > 1e-6 * count)
    reason = "accuracy · n is not whole: {} of {} responses, each right or wrong"
    case.compare("evaluations", broken, reason, frame["accuracy"], count)


def asked(case: Case) -> None:
    """Items, samples and temperature are those of the configuration."""
    frame = case.tables["evaluations"]
    stream = frame["test_set"].ne("retention")
    for column, option, where in (
        ("n_samples", ("evaluation", "samples"), stream),
        ("temperature", ("learning", "temperature"), stream | True),
        ("n_items", ("evaluation", "retention_items"), ~stream),
    ):
        wanted = case.option(*option)
        reason = f"{column} is not {wanted}, as the configuration says"
        case.rows("evaluations", where & frame[column].ne(wanted), reason)
    most = case.option("evaluation", "items")
    many = stream & (frame["n_items"] > most)
    case.rows("evaluations", many, f"n_items is more than {most}, which the configuration asks")
    case.rows("evaluations", ~stream & frame["n_samples"].ne(1), "n_samples is not 1 (retention)")


def same_problems(case: Case) -> None:
    """Every evaluation of a set asked the same problems."""
    items = case.tables["items"]
    asked = items.groupby(_ROW, sort=False)["uid"].agg(lambda uids: hash(frozenset(uids)))
    first = asked.groupby(level=_SET, sort=False).transform("first")
    for key in list(asked.index[asked != first])[:5]:
        words = f"step {', '.join(map(str, key))}"
        reason = "its problems are not those that the other evaluations asked"
        case.findings.add(reason, table="items", key=words)


def _with_items(case: Case) -> pd.DataFrame:
    """`evaluations`, and beside each row what its items say."""
    if "items" not in case.computed:
        case.computed["items"] = _joined(case)
    frame: pd.DataFrame = case.computed["items"]
    return frame


def _joined(case: Case) -> pd.DataFrame:
    items = case.tables["items"]
    groups = items.groupby(_ROW, sort=False)
    score = items["score"]
    whole = (score - score.round()).abs() < 1e-4
    found = groups.agg(score=("score", "mean"), problems=("uid", "nunique"), scored=("uid", "size"))
    found["binary"] = (whole & score.between(0, 1)).groupby([items[k] for k in _ROW]).all()
    found["samples"] = groups["sample"].max() + 1
    found["tokens"] = groups["completion_tokens"].mean()
    for flag in ("formatted", "truncated"):
        found[flag] = items[flag].astype(float).groupby([items[k] for k in _ROW]).mean()
    first = items[items["sample"].eq(0)]
    most = case.option("evaluation", "kl_items")
    if most:  # divergences are measured on the first problems
        first = first[first.groupby(_ROW, sort=False).cumcount() < most]
    found["first"] = first.groupby(_ROW)["completion_tokens"].sum()
    return case.tables["evaluations"].join(found, on=_ROW)


def _keeps_items(case: Case, frame: pd.DataFrame) -> pd.Series:
    """Whether a row of `evaluations` should have items."""
    return frame["at"].ne("inside") | (not case.anonymous)


def _require(case: Case, column: str, again: str, what: str) -> None:
    """A column of `evaluations` is what the items say, where there are any."""
    frame = _with_items(case)
    stored, computed = frame[column].astype(float), frame[again].astype(float)
    close = np.isclose(stored, computed, rtol=1e-9, atol=1e-9)
    wrong = ~close & stored.notna() & computed.notna()
    case.compare("evaluations", wrong, f"{column} is {{}}, but {what} is {{}}", stored, computed)


def _shares(case: Case, column: str, flag: str) -> None:
    """A share is that of the items with the flag; where no item says, there is none."""
    frame = _with_items(case)
    stored, computed = frame[column].astype(float), frame[flag]
    close = np.isclose(stored, computed, rtol=1e-9, atol=1e-9, equal_nan=True)
    wrong = ~close & frame["scored"].notna()
    reason = f"{column} is {{}}, but the share of its items that are {flag} is {{}}"
    case.compare("evaluations", wrong, reason, stored, computed)


def _orphans(case: Case) -> None:
    """Items of which no evaluation speaks."""
    items = case.tables["items"]
    there = case.tables["evaluations"][_ROW].drop_duplicates().assign(there=1).set_index(_ROW)
    orphans = items.join(there, on=_ROW)["there"].isna()
    case.rows("items", orphans, "no row of evaluations is of this item")
