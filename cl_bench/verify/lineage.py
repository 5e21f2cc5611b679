"""The lineage of prompts: parents exist, texts stay, and what was dropped does not come back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cl_bench.verify.case import Case, known

if TYPE_CHECKING:
    import pandas as pd

_SEED, _NONE = 0, -1
_WHOLE = 1e-9


def parents(case: Case) -> None:
    """Every prompt has the parent it had before, one that exists; the seed alone has none."""
    frame = case.tables["prompts"]
    seed, none = frame["prompt_id"].eq(_SEED), frame["parent_id"].eq(_NONE)
    case.rows("prompts", seed & ~none, "prompt 0 is the seed, but has a parent")
    case.rows(
        "prompts", ~seed & none, "parent_id is -1, but only prompt 0, the seed, has no parent"
    )
    missing = ~none & ~frame["parent_id"].isin(frame["prompt_id"])
    case.rows(
        "prompts", missing, lambda row: f"its parent, prompt {row['parent_id']}, is not there"
    )
    first = frame.drop_duplicates("prompt_id").set_index("prompt_id")
    for column in ("parent_id", "text"):
        changed = frame[column].ne(frame["prompt_id"].map(first[column]))
        case.rows("prompts", changed, f"{column} is not what it was in an earlier round")
    born = first["round"]
    late = frame["parent_id"].map(born) > frame["prompt_id"].map(born)
    case.rows("prompts", late, "its parent came after it")
    for prompt in _circular(first["parent_id"]):
        case.findings.add("its ancestors go round in a circle", table="prompts", key=prompt)


def fates(case: Case) -> None:
    """Rejected prompts have no score, others one; only what was kept takes part again."""
    frame = case.tables["prompts"]
    rejected, scored = frame["fate"].eq("rejected"), frame["score"].notna()
    if case.own:
        case.rows("prompts", rejected & scored, "it was rejected, but has a score")
        case.rows("prompts", ~rejected & ~scored, "it has no score, but was not rejected")
    before = frame.groupby("prompt_id")["fate"].shift()
    back = before.isin(["rejected", "dropped"]) & frame["prompt_id"].ne(_SEED)
    case.rows("prompts", back, lambda row: "it was dropped or rejected before, and is back")
    if (most := case.option("learning", "population")) is not None and case.own:
        kept = frame[frame["fate"].eq("kept")].groupby("round").size()
        for number in list(kept.index[kept > most])[:5]:
            reason = f"{kept[number]} prompts were kept, more than the population of {most}"
            case.findings.add(reason, table="prompts", key=f"round {number}")


def scores(case: Case) -> None:
    """Where responses are right or wrong, the scores of a round are shares of one number of
    exercises, and nothing is kept instead of what solved them all."""
    frame, most = case.tables["prompts"], case.option("learning", "round_exercises")
    if not case.own or most is None or not all(known(domain) for domain in case.domains):
        return
    for number, rows in frame[frame["score"].notna()].groupby("round"):
        share = rows["score"].to_numpy(float)
        counts = range(1, int(most) + 1)
        if not any(np.abs(share * n - np.round(share * n)).max() < _WHOLE * n for n in counts):
            reason = f"score · n is not whole for any number n of exercises up to {most}"
            case.findings.add(reason, table="prompts", key=f"round {number}")
        if share.max() == 1:
            _best_kept(case, rows)


def _best_kept(case: Case, rows: pd.DataFrame) -> None:
    """A prompt that solved every exercise makes all others redundant, so that of such a round the
    best are kept, the older ones first, or that prompt alone. What did worse than the seed prompt
    or its parent may be left out, which depends on scores that no table has."""
    size = case.option("learning", "population")
    if size is None:
        return
    if case.option("learning", "refill") is False:
        size = 1
    ranked = rows.sort_values(["score", "prompt_id"], ascending=[False, True])
    kept = ranked["fate"].eq("kept")
    before = kept.cumsum() - kept
    lost = ~kept & ~_may_be_left_out(ranked)
    wrong = (kept & before.ge(size)) | (lost & before.lt(size))
    reason = "fate is not what the scores of its round give, of which one is 1"
    everywhere = wrong.reindex(case.tables["prompts"].index, fill_value=False)
    case.rows("prompts", everywhere, reason)


def _may_be_left_out(rows: pd.DataFrame) -> pd.Series:
    """Which prompts of a round scored less than the seed prompt or their parent did in it."""
    score = rows.set_index("prompt_id")["score"]
    rivals = (rows["parent_id"].map(score), score.get(_SEED, np.nan))
    return rows["score"].lt(rivals[0]) | rows["score"].lt(rivals[1])


def rounds(case: Case) -> None:
    """Rounds count up from 1 with the steps."""
    frame = case.tables["prompts"]
    numbers = frame["round"].drop_duplicates().tolist()
    if numbers != list(range(1, len(numbers) + 1)):
        case.findings.add("its rounds are not 1, 2, … in that order", table="prompts")
    case.rows("prompts", frame["step"].diff() < 0, "step is less than in the row before")


def _circular(parent: pd.Series) -> list[str]:
    """Prompts from which no way leads up to one without a parent."""
    known = {_NONE}
    chains = parent.to_dict()
    stuck = []
    for prompt in chains:
        way: list[int] = []
        here = prompt
        while here in chains and here not in known and here not in way:
            way.append(here)
            here = chains[here]
        if here in way:
            stuck.append(f"prompt {prompt}")
        else:
            known.update(way)
    return stuck[:5]
