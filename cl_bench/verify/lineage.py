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
    """Every prompt has the parent it had before, one that came earlier; the seed alone has none."""
    frame = case.tables["prompts"]
    parent, seed = frame["parent_id"], frame["prompt_id"].eq(_SEED)
    none = parent.eq(_NONE)
    case.rows("prompts", seed & ~none, "prompt 0 is the seed, but has a parent")
    reason = "parent_id is -1, but only prompt 0, the seed, has no parent"
    case.rows("prompts", ~seed & none, reason)
    missing = ~none & ~parent.isin(frame["prompt_id"])
    case.rows("prompts", missing, "its parent, prompt {}, is not there", parent)
    first = frame.drop_duplicates("prompt_id").set_index("prompt_id")
    for column in ("parent_id", "text"):
        changed = frame[column].ne(frame["prompt_id"].map(first[column]))
        case.rows("prompts", changed, f"{column} is not what it was in an earlier round")
    late = parent.map(first["round"]) > frame["prompt_id"].map(first["round"])
    if case.own:  # which numbers its prompts as they come, so that no way leads round in a circle
        late |= parent >= frame["prompt_id"]
    case.rows("prompts", late, "its parent came after it")


def fates(case: Case) -> None:
    """Rejected prompts have no score, others one; only what was kept takes part again."""
    frame = case.tables["prompts"]
    rejected, scored = frame["fate"].eq("rejected"), frame["score"].notna()
    before = frame.groupby("prompt_id")["fate"].shift()
    back = before.isin(["rejected", "dropped"]) & frame["prompt_id"].ne(_SEED)
    case.rows("prompts", back, "it was dropped or rejected before, and is back")
    if not case.own:
        return
    case.rows("prompts", rejected & scored, "it was rejected, but has a score")
    case.rows("prompts", ~rejected & ~scored, "it has no score, but was not rejected")
    if (most := case.learning("population")) is not None:
        kept = frame[frame["fate"].eq("kept")].groupby("round").size()
        for number, count in kept[kept > most].head(5).items():
            reason = f"{count} prompts were kept, more than the population of {most}"
            case.of_table("prompts", reason, f"round {number}")


def scores(case: Case) -> None:
    """Where responses are right or wrong, the scores of a round are shares of one number of
    exercises, and nothing is kept instead of what solved them all."""
    frame, most = case.tables["prompts"], case.learning("round_exercises")
    if not case.own or most is None or not all(map(known, case.domains)):
        return
    for number, rows in frame[frame["score"].notna()].groupby("round"):
        share = rows["score"].to_numpy(float)
        counts = range(1, int(most) + 1)
        if not any(np.abs(share * n - np.round(share * n)).max() < _WHOLE * n for n in counts):
            reason = f"score · n is not whole for any number n of exercises up to {most}"
            case.of_table("prompts", reason, f"round {number}")
        if share.max() == 1:
            _best_kept(case, rows)


def _best_kept(case: Case, rows: pd.DataFrame) -> None:
    """A prompt that solved every exercise makes all others redundant, so that of such a round the
    best are kept, the older ones first, or that prompt alone. What did worse than the seed prompt
    or its parent may be left out, which depends on scores that no table has."""
    size = case.learning("population")
    if size is None:
        return
    if case.learning("refill") is False:
        size = 1
    ranked = rows.sort_values(["score", "prompt_id"], ascending=[False, True])
    kept = ranked["fate"].eq("kept")
    before = kept.cumsum() - kept
    score = ranked.set_index("prompt_id")["score"]
    rivals = (ranked["parent_id"].map(score), score.get(_SEED, np.nan))
    excused = ranked["score"].lt(rivals[0]) | ranked["score"].lt(rivals[1])
    wrong = (kept & before.ge(size)) | (~kept & ~excused & before.lt(size))
    case.rows("prompts", wrong, "fate is not what the scores of its round give, of which one is 1")


def rounds(case: Case) -> None:
    """Rounds count up from 1 with the steps."""
    frame = case.tables["prompts"]
    numbers = frame["round"].drop_duplicates().tolist()
    if numbers != list(range(1, len(numbers) + 1)):
        case.of_table("prompts", "its rounds are not 1, 2, … in that order")
    case.rows("prompts", frame["step"].diff() < 0, "step is less than in the row before")
