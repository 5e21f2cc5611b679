"""Responses that are kept in full: verified once more, and held against their rows in `items`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cl_bench.contract.registry import DOMAINS
from cl_bench.contract.text import well_formed
from cl_bench.verify.case import KEYS, LABEL, Case
from cl_bench.verify.problems import made_again

if TYPE_CHECKING:
    import pandas as pd

_ROW = ["step", *LABEL]


def transcripts(case: Case) -> None:
    """As many as the configuration says, at the start and at stage ends, each with its item."""
    frame, items = case.tables["transcripts"], case.tables["items"]
    key = list(KEYS["items"])
    known = items.drop_duplicates(key).set_index(key)[["score", "answer"]]
    pairs = frame[key].join(known, on=key)
    case.rows("transcripts", pairs["score"].isna(), "there is no such row in items")
    for column in ("score", "answer"):
        same = pairs[column].eq(frame[column]) | (pairs[column].isna() & frame[column].isna())
        other = pairs["score"].notna() & ~same
        case.rows("transcripts", other, f"{column} is not that of its row in items")
    _counts(case, frame)


def responses(case: Case) -> None:
    """The verifier of today says of a response what it said of it in the run."""
    groups = case.tables["transcripts"].groupby(["domain", "test_set", "setting"], sort=False)
    for key, rows in groups:
        problems = made_again(case, key)
        if problems is None:
            continue
        domain = DOMAINS.load(key[0])
        feedback = case.option("feedback")
        task = domain.task(seed=case.manifest["seed"], setting=key[2], feedback=feedback)
        for number, row in rows.iterrows():
            problem = problems.get(row["uid"])
            if problem is None:
                continue  # its row in items has a finding
            verdict = task.verify(problem, row["response"])
            right: dict[str, Any] = {
                "problem": problem.prompt,
                "reference": problem.answer,
                "score": verdict.score,
                "answer": verdict.answer,
                "feedback": verdict.feedback,
            }
            _compare(case, rows.loc[[number]], row, right)


def system_prompts(case: Case) -> None:
    """A system prompt is the seed prompt, or one that the learner had by then."""
    if not case.own:
        return
    frame, prompts = case.tables["transcripts"], case.tables["prompts"]
    seed = frame["prompt"].eq("seed")
    seed_prompt = case.option("learning", "seed_prompt")
    other = seed & frame["system_prompt"].ne(seed_prompt)
    case.rows("transcripts", other, "system_prompt is not the seed prompt")
    born = prompts.groupby("text")["step"].min()
    step = frame["system_prompt"].map(born.to_dict()).astype(float)
    unknown = step.isna() | (step > frame["step"])
    unknown &= ~seed & frame["system_prompt"].ne(seed_prompt)
    case.rows("transcripts", unknown, "system_prompt is no prompt that the learner had by then")


def _counts(case: Case, frame: pd.DataFrame) -> None:
    wanted = case.option("evaluation", "transcripts")
    evaluations = case.tables["evaluations"]
    told = evaluations["at"].ne("inside") & evaluations["test_set"].eq("stream")
    told &= evaluations["weights"].eq("trained")
    asked = evaluations[told].drop_duplicates(_ROW).set_index(_ROW)
    due = asked["n_items"].clip(upper=wanted)
    found = frame.groupby(_ROW).size()
    for key in due.index.union(found.index):
        number, right = int(found.get(key, 0)), int(due.get(key, 0))
        if number != right:
            words = f"step {', '.join(map(str, key))}"
            reason = f"it has {number} transcripts, not {right}"
            case.findings.add(reason, table="transcripts", key=words)
    places = frame[_ROW].join(asked[["stage", "at"]], on=_ROW)
    for column in ("stage", "at"):
        wrong = places[column].notna() & places[column].ne(frame[column])
        case.rows("transcripts", wrong, f"{column} is not that of its evaluation")


def _compare(case: Case, here: pd.DataFrame, row: pd.Series, right: dict[str, Any]) -> None:
    for column, value in right.items():
        stored = row[column] if isinstance(row[column], str | float) else None
        stored = None if stored != stored else stored  # NaN stands for null
        said = well_formed(value) if isinstance(value, str) else value
        if stored != said:
            reason = f"{column} is not what the verifier says of this problem and response"
            case.findings.rows("transcripts", here, reason, KEYS["transcripts"])
