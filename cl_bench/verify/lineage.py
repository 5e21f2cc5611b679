"""The lineage of prompts: parents exist, texts stay, and what was dropped does not come back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cl_bench.verify.checked_run import CheckedRun, known

if TYPE_CHECKING:
    import pandas as pd

_SEED, _NONE = 0, -1
_WHOLE = 1e-9


def parents(run: CheckedRun) -> None:
    """Every prompt has the parent it had before, one that came earlier; the seed alone has none."""
    frame = run.tables["prompts"]
    parent, seed = frame["parent_id"], frame["prompt_id"].eq(_SEED)
    none = parent.eq(_NONE)
    run.rows("prompts", seed & ~none, "prompt 0 is the seed, but has a parent")
    reason = "parent_id is -1, but only prompt 0, the seed, has no parent"
    run.rows("prompts", ~seed & none, reason)
    missing = ~none & ~parent.isin(frame["prompt_id"])
    run.rows("prompts", missing, "its parent, prompt {}, is not there", parent)
    first = frame.drop_duplicates("prompt_id").set_index("prompt_id")
    for column in ("parent_id", "text"):
        changed = frame[column].ne(frame["prompt_id"].map(first[column]))
        run.rows("prompts", changed, f"{column} is not what it was in an earlier round")
    late = parent.map(first["round"]) > frame["prompt_id"].map(first["round"])
    if run.own:  # which numbers its prompts as they come, so that no way leads round in a circle
        late |= parent >= frame["prompt_id"]
    run.rows("prompts", late, "its parent came after it")


def fates(run: CheckedRun) -> None:
    """Rejected prompts have no score, others one; only what was kept takes part again."""
    frame = run.tables["prompts"]
    rejected, scored = frame["fate"].eq("rejected"), frame["score"].notna()
    before = frame.groupby("prompt_id")["fate"].shift()
    back = before.isin(["rejected", "dropped"]) & frame["prompt_id"].ne(_SEED)
    run.rows("prompts", back, "it was dropped or rejected before, and is back")
    if not run.own:
        return
    run.rows("prompts", rejected & scored, "it was rejected, but has a score")
    run.rows("prompts", ~rejected & ~scored, "it has no score, but was not rejected")
    if (most := run.learning("population")) is not None:
        kept = frame[frame["fate"].eq("kept")].groupby("round").size()
        for number, count in kept[kept > most].head(5).items():
            reason = f"{count} prompts were kept, more than the population of {most}"
            run.of_table("prompts", reason, f"round {number}")


def scores(run: CheckedRun) -> None:
    """Where responses are right or wrong, the scores of a round are shares of one number of
    exercises, and nothing is kept instead of what solved them all."""
    frame, most = run.tables["prompts"], run.learning("round_exercises")
    if not run.own or most is None or not all(map(known, run.domains)):
        return
    samples = int(run.learning("round_samples") or 1)
    for number, rows in frame[frame["score"].notna()].groupby("round"):
        share = rows["score"].to_numpy(float)
        counts = range(samples, int(most) * samples + 1, samples)
        if not any(np.abs(share * n - np.round(share * n)).max() < _WHOLE * n for n in counts):
            reason = f"score · n is not whole for any number n of exercises up to {most}"
            reason += f", {samples} responses to each" if samples > 1 else ""
            run.of_table("prompts", reason, f"round {number}")
        if share.max() == 1:
            _best_kept(run, rows)


def _best_kept(run: CheckedRun, rows: pd.DataFrame) -> None:
    """A prompt that solved every exercise makes all others redundant, so that of such a round the
    best are kept, the older ones first, or that prompt alone. What did worse than the seed prompt
    or its parent may be left out, which depends on scores that no table has."""
    size = run.learning("population")
    if size is None:
        return
    if run.learning("refill") is False:
        size = 1
    ranked = rows.sort_values(["score", "prompt_id"], ascending=[False, True])
    kept = ranked["fate"].eq("kept")
    before = kept.cumsum() - kept
    score = ranked.set_index("prompt_id")["score"]
    rivals = (ranked["parent_id"].map(score), score.get(_SEED, np.nan))
    excused = ranked["score"].lt(rivals[0]) | ranked["score"].lt(rivals[1])
    wrong = (kept & before.ge(size)) | (~kept & ~excused & before.lt(size))
    run.rows("prompts", wrong, "fate is not what the scores of its round give, of which one is 1")


def rounds(run: CheckedRun) -> None:
    """Rounds count up from 1 with the steps."""
    frame = run.tables["prompts"]
    numbers = frame["round"].drop_duplicates().tolist()
    if numbers != list(range(1, len(numbers) + 1)):
        run.of_table("prompts", "its rounds are not 1, 2, … in that order")
    run.rows("prompts", frame["step"].diff() < 0, "step is less than in the row before")
