"""Responses that are kept in full: verified once more, and held against their rows in `items`."""

from __future__ import annotations

from functools import partial

from cl_bench.contract.registry import DOMAINS
from cl_bench.contract.task import judged
from cl_bench.contract.text import counted, well_formed
from cl_bench.execution.provenance import source_hash
from cl_bench.verify.checked_run import KEYS, ROW, CheckedRun
from cl_bench.verify.problems import remade

_ROW = list(ROW)


def transcripts(run: CheckedRun) -> None:
    """As many as the configuration says, at the start and at stage ends, each with its item."""
    frame, items, key = run.tables["transcripts"], run.tables["items"], list(KEYS["items"])
    pairs = frame[key].join(items.drop_duplicates(key).set_index(key)[["score", "answer"]], on=key)
    there = pairs["score"].notna()
    run.rows("transcripts", ~there, "there is no such row in items")
    for column in ("score", "answer"):
        same = pairs[column].eq(frame[column]) | (pairs[column].isna() & frame[column].isna())
        run.rows("transcripts", there & ~same, f"{column} is not that of its row in items")
    evaluations = run.tables["evaluations"]
    told = evaluations["at"].ne("inside") & evaluations["test_set"].eq("stream")
    told &= evaluations["weights"].eq("trained")
    asked = evaluations[told].drop_duplicates(_ROW).set_index(_ROW)
    due = asked["n_items"].clip(upper=run.config.evaluation.transcripts)
    found = frame["score"].ge(1).groupby([frame[name] for name in _ROW]).agg(list)
    for label in due.index.union(found.index):
        right = int(due.get(label, 0))
        kept: list[bool] = found.get(label, [])
        number = len(kept)
        if number != right and not _has_one_more(kept, right):
            reason = f"it has {counted(number, 'transcript')}, not {right}"
            run.of_table("transcripts", reason, f"step {', '.join(map(str, label))}")
    places = frame[_ROW].join(asked[["stage", "at"]], on=_ROW)
    for column in ("stage", "at"):
        wrong = places[column].notna() & places[column].ne(frame[column])
        run.rows("transcripts", wrong, f"{column} is not that of its evaluation")


def _has_one_more(right_T: list[bool], due: int) -> bool:
    """Whether these are the responses due, all right or all wrong, and one that is not."""
    first, last = set(right_T[:-1]), set(right_T[-1:])
    return len(right_T) == due + 1 and len(first) == 1 and not first & last


def responses(run: CheckedRun) -> None:
    """The verifier of today says of a response what it said of it in the run.

    Words of feedback can be mended where scores stay, so they are held against its own code alone.
    """
    import pandas as pd

    key = list(KEYS["items"])
    cut_off = run.tables["items"].drop_duplicates(key).set_index(key)[["truncated"]]
    own = run.manifest["provenance"]["source_hash"] == source_hash()
    for (domain, _, setting), every, problems in remade(run, "transcripts"):
        rows = every[every["uid"].isin(problems)]  # the item of another one has a finding
        if rows.empty:
            continue
        task = DOMAINS.load(domain).task(
            seed=run.config.seed, setting=setting, feedback=run.config.feedback
        )
        asked = [problems[uid] for uid in rows["uid"]]
        verdicts = [
            judged(partial(task.verify, problem), response, truncated=bool(cut))
            for problem, response, cut in zip(
                asked, rows["response"], rows.join(cut_off, on=key)["truncated"].eq(1), strict=True
            )
        ]
        right = {
            "problem": [well_formed(problem.prompt) for problem in asked],
            "reference": [well_formed(problem.answer) for problem in asked],
            "score": [verdict.score for verdict in verdicts],
            "answer": [verdict.answer and well_formed(verdict.answer) for verdict in verdicts],
        }
        if own:
            right["feedback"] = [well_formed(verdict.feedback) for verdict in verdicts]
        for column, values in right.items():
            said = pd.Series(values, rows.index, dtype=rows[column].dtype)
            same = rows[column].eq(said) | (rows[column].isna() & said.isna())
            reason = f"{column} is not what the verifier says of this problem and response"
            run.rows("transcripts", ~same, reason)


def system_prompts(run: CheckedRun) -> None:
    """A system prompt is the seed prompt, or one that the learner had by then."""
    if not run.own:
        return
    frame, prompts = run.tables["transcripts"], run.tables["prompts"]
    seed = frame["prompt"].eq("seed")
    other = frame["system_prompt"].ne(run.learning("seed_prompt"))
    run.rows("transcripts", seed & other, "system_prompt is not the seed prompt")
    born = prompts.groupby("text")["step"].min()
    step = frame["system_prompt"].map(born.to_dict()).astype(float)
    unknown = ~seed & other & (step.isna() | (step > frame["step"]))
    run.rows("transcripts", unknown, "system_prompt is not a prompt that the learner had by then")
