"""The numbers of `evaluations`, computed again from the single responses in `items`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cl_bench.verify.checked_run import ROW, CheckedRun

if TYPE_CHECKING:
    import pandas as pd

_ROW = list(ROW)
_SET = ["domain", "test_set", "setting"]
_AGAIN = {
    "accuracy": ("score", "the mean score of its items"),
    "n_items": ("problems", "the number of its problems in items"),
    "n_samples": ("samples", "the number of samples in items"),
    "completion_tokens": ("tokens", "the mean length of its items"),
    "kl_policy_base_tokens": ("first", "the length of first samples"),
    "format_rate": ("formatted", "the share of its items that are formatted"),
    "truncation_rate": ("truncated", "the share of its items that are truncated"),
    "thought_tokens": ("thoughts", "the mean thought of its items"),
    "thought_truncation_rate": ("cut", "the share of its items that are cut off in thought"),
}
"""Columns of `evaluations`: the column beside it with what the items say, and that in words."""
_FLAGS = ("formatted", "truncated")
_NOTED = (*_FLAGS, "thoughts", "cut")
"""Of these, no item having one is a value, too: that there is no share."""


def recomputed(run: CheckedRun) -> None:
    """Accuracy, counts and lengths are those of the items, and every item has its evaluation."""
    frame = _with_items(run)
    lost = frame["scored"].isna()
    kept = frame["at"].ne("inside") | (not run.anonymous)
    run.rows("evaluations", lost & kept, "there are no items of this row")
    for column, (again, words) in _AGAIN.items():
        stored, found = frame[column].astype(float), frame[again].astype(float)
        close = np.isclose(stored, found, rtol=1e-9, atol=1e-9, equal_nan=True)
        told = ~lost if again in _NOTED else found.notna()
        if again == "first":
            told &= ~run.unmeasured(frame)
        elif column == "completion_tokens":  # a benchmark may have none
            told &= ~run.of_benchmarks(frame)
        reason = f"{column} is {{}}, but {words} is {{}}"
        run.rows("evaluations", ~close & told, reason, stored, found)
    due = frame["n_items"] * frame["n_samples"]
    reason = "items has {} responses of this row, not n_items · n_samples = {}"
    uneven = ~lost & frame["scored"].ne(due)
    run.rows("evaluations", uneven, reason, frame["scored"], due)
    right = frame["accuracy"] * due
    broken = frame["binary"].eq(True) & ((right - right.round()).abs() > 1e-6 * due)
    reason = "accuracy · n is not whole: {} of {} responses, each right or wrong"
    run.rows("evaluations", broken, reason, frame["accuracy"], due)
    items = run.tables["items"]
    reason = "thought_tokens is {}, more than completion_tokens"
    longer = items["thought_tokens"] > items["completion_tokens"]
    run.rows("items", longer, reason, items["thought_tokens"])
    there = frame[_ROW].drop_duplicates().assign(there=1).set_index(_ROW)
    orphans = items.join(there, on=_ROW)["there"].isna()
    run.rows("items", orphans, "no row of evaluations is of this item")


def _with_items(run: CheckedRun) -> pd.DataFrame:
    """`evaluations`, and beside each row what its items say."""
    items = run.tables["items"]
    groups = items.groupby(_ROW, sort=False)
    score = items["score"]
    whole = (score - score.round()).abs() < 1e-4
    found = groups.agg(score=("score", "mean"), problems=("uid", "nunique"), scored=("uid", "size"))
    found["binary"] = (whole & score.between(0, 1)).groupby([items[k] for k in _ROW]).all()
    found["samples"] = groups["sample"].max() + 1
    found["tokens"] = groups["completion_tokens"].mean()
    for flag in _FLAGS:
        found[flag] = items[flag].astype(float).groupby([items[k] for k in _ROW]).mean()
    rows, thoughts = [items[k] for k in _ROW], items["thought_tokens"].astype(float)
    cut = items["truncated"].eq(1) & thoughts.eq(items["completion_tokens"])
    found["thoughts"] = thoughts.groupby(rows).mean()
    found["cut"] = cut.astype(float).mask(thoughts.isna()).groupby(rows).mean()
    first = items[items["sample"].eq(0)]
    if most := run.config.evaluation.kl_items:  # divergences are measured on the first problems
        first = first[first.groupby(_ROW, sort=False).cumcount() < most]
    found["first"] = first.groupby(_ROW)["completion_tokens"].sum()
    return run.tables["evaluations"].join(found, on=_ROW)


def asked(run: CheckedRun) -> None:
    """Items, samples and temperature are those of the configuration."""
    frame, evaluation = run.tables["evaluations"], run.config.evaluation
    retention, greedy = (frame["test_set"].eq(name) for name in ("retention", "greedy"))
    once, benchmark = retention | greedy, run.of_benchmarks(frame)
    for column, wanted, where in (
        ("n_samples", evaluation.samples, ~once),
        ("n_items", evaluation.retention_items, retention & ~benchmark),
        ("temperature", run.learning("temperature"), ~greedy & ~benchmark),
    ):
        reason = f"{column} is not {wanted}, as the configuration says"
        run.rows("evaluations", where & frame[column].ne(wanted), reason)
    most = frame["test_set"].map(run.most_items)
    reason = "n_items is {}, more than {}, which the configuration asks"
    run.rows("evaluations", frame["n_items"] > most, reason, frame["n_items"], most)
    reason = "n_samples is not 1 ({})"
    run.rows("evaluations", once & frame["n_samples"].ne(1), reason, frame["test_set"])
    run.rows("evaluations", greedy & frame["temperature"].ne(0), "temperature is not 0 (greedy)")


def same_problems(run: CheckedRun) -> None:
    """Every evaluation of a set asked the same problems."""
    uids = run.tables["items"].groupby(_ROW, sort=False)["uid"]
    asked = uids.agg(lambda found: hash(frozenset(found)))
    first = asked.groupby(level=_SET, sort=False).transform("first")
    for key in list(asked.index[asked != first])[:5]:
        reason = "its problems are not those that the other evaluations asked"
        run.of_table("items", reason, f"step {', '.join(map(str, key))}")
