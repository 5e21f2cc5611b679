"""What was spent: the ledger, the training steps, and the counts beside every evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cl_bench.contract.learner import CHANNELS
from cl_bench.contract.registry import LEARNERS
from cl_bench.store.schema import TABLES
from cl_bench.verify.case import KEYS, Case, known
from cl_bench.verify.manifest import FILE

if TYPE_CHECKING:
    import pandas as pd

_LEAST_PROMPT = 4
"""Tokens of the shortest chat of a system prompt and a problem."""
_SPENT = [name for name in TABLES["ledger"].names if name not in KEYS["ledger"]]


def ledger(case: Case) -> None:
    """Both channels at every evaluation, nothing at step 0, and never less than before."""
    frame = case.tables["ledger"]
    if frame.empty and not case.evaluated:
        return
    for step in case.evaluated:
        there = set(frame["channel"][frame["step"].eq(step)])
        for channel in [name for name in CHANNELS if name not in there]:
            key = f"step {step}, {channel}"
            case.findings.add("the row is missing", table="ledger", key=key)
    spent = frame[_SPENT].astype(float)
    early = (spent.ne(0) & spent.notna()).any(axis=1) & frame["step"].eq(0) & (frame.index < 2)
    case.rows("ledger", early, "something is spent at step 0, before training")
    change = spent.groupby(frame["channel"]).diff()
    for name in _SPENT:
        reason = f"{name} is less than in the row before of its channel; a ledger never decreases"
        case.rows("ledger", change[name] < 0, reason)
    later = frame["step"].groupby(frame["channel"]).diff() < 0
    case.rows("ledger", later, "step is less than in the row before of its channel")


def beside(case: Case) -> None:
    """`samples_slow` and `rollouts` of evaluations are those of the ledger at their step."""
    frame, rollouts = case.tables["evaluations"], _rollouts(case)
    for column, wanted in (("samples_slow", rollouts["slow"]), ("rollouts", rollouts.sum(axis=1))):
        right = frame["step"].map(wanted)
        wrong = right.notna() & frame[column].ne(right)
        reason = f"{column} is {{}}, but the ledger has {{}}"
        case.compare("evaluations", wrong, reason, frame[column], right)


def steps(case: Case) -> None:
    """A row for every training step, of the stage and domain that the stream has there."""
    frame = case.tables["steps"]
    last = case.ends[-1] if case.finished else (case.evaluated or [0])[-1]
    outside = ~frame["step"].between(1, case.ends[-1])
    case.rows("steps", outside, "the stream has no such step")
    missing = sorted(set(range(1, last + 1)) - set(frame["step"].tolist()))
    if missing:
        case.findings.add(
            f"{len(missing)} of {last} steps have no row; the first of them is step {missing[0]}",
            table="steps",
        )
    stage = np.searchsorted(case.ends, frame["step"]) + 1
    case.rows("steps", ~outside & frame["stage"].ne(stage), "stage is not the one of the stream")
    domains = dict(enumerate((stage["domain"] for stage in case.stages), 1))
    right = frame["stage"].map(domains)
    case.rows(
        "steps", right.notna() & frame["domain"].ne(right), "domain is not the stream's there"
    )


def channels(case: Case) -> None:
    """A built-in learner spends in the channels it has: rounds of prompts are what the fast one
    pays for, training steps the slow one, and either is there only with the other."""
    if not case.own:
        return
    learner = str(case.manifest["learner"])
    if learner not in LEARNERS.table:
        case.findings.add(f"{learner!r} is no learner of this installation", file=FILE)
        return
    frame = case.tables["ledger"]
    has = {channel: channel in LEARNERS.load(learner).channels for channel in CHANNELS}
    for channel in CHANNELS:
        rows = frame["channel"].eq(channel) & frame["step"].isin(case.evaluated)
        if has[channel]:
            idle = rows & frame["step"].gt(0) & frame["rollouts"].eq(0)
            case.rows("ledger", idle, f"{learner} spends in the {channel} channel, but not here")
        else:
            spent = rows & frame[_SPENT].fillna(0).ne(0).any(axis=1)
            case.rows("ledger", spent, f"{learner} has no {channel} channel, but spends in it")
    if not has["fast"] and len(case.tables["prompts"]):
        case.findings.add(f"{learner} has no rounds of prompts", table="prompts")
    _rounds(case, frame[frame["channel"].eq("fast")])


def _rounds(case: Case, fast: pd.DataFrame) -> None:
    """Between two evaluations prompts are rolled out exactly if there was a round, each scored one
    at least once, and every new one was asked of the reflector."""
    prompts = case.tables["prompts"]
    total = fast.groupby("step")[["rollouts", "reflection_calls"]].max()
    spent = total.diff().fillna(total)
    scored = prompts[prompts["score"].notna()].groupby("step").size()
    new = prompts[prompts["prompt_id"].ne(0)].drop_duplicates("prompt_id").groupby("step").size()
    for step in sorted({*total.index, *prompts["step"].tolist()}):
        rollouts, calls = (
            float(spent[name].get(step, 0)) for name in ("rollouts", "reflection_calls")
        )
        key = f"step {step}, fast"
        asked, made = int(scored.get(step, 0)), int(new.get(step, 0))
        if rollouts > 0 and not asked:
            reason = f"{rollouts:.0f} rollouts of prompts since the row before, but no round of any"
            case.findings.add(reason, table="prompts", key=f"step {step}")
        if rollouts < asked:
            reason = f"{asked} prompts were scored with {rollouts:.0f} rollouts"
            case.findings.add(reason, table="ledger", key=key)
        if calls < made:
            reason = f"{made} prompts were written in {calls:.0f} reflection_calls"
            case.findings.add(reason, table="ledger", key=key)


def tokens(case: Case) -> None:
    """A built-in learner's rollouts read a prompt and give a response; rewrites are read too."""
    if not case.own:
        return
    frame = case.tables["ledger"]
    least = {"prompt_tokens": _LEAST_PROMPT, "generated_tokens": 1}
    for name, each in least.items():
        few = frame[name] < each * frame["rollouts"]
        case.rows("ledger", few, f"{name} are fewer than {each} for each of its rollouts")
    if case.option("learning", "reflection_lm") == "base":
        answered = frame["reflection_calls"] - frame["reflection_failures"]
        few = frame["reflection_tokens"] < answered
        case.rows("ledger", few, "reflection_tokens are fewer than its reflection_calls")


def timed(case: Case) -> None:
    """Learning up to an evaluation took time, and so did the evaluation itself."""
    frame = case.tables["timing"]
    for phase, steps in (
        ("evaluate", case.evaluated),
        ("learn", [step for step in case.evaluated if step > 0]),
    ):
        there = set(frame["step"][frame["phase"].eq(phase)])
        for step in [step for step in steps if step not in there]:
            reason = f"no time was recorded for the phase {phase}"
            case.findings.add(reason, table="timing", key=f"step {step}")


def batches(case: Case) -> None:
    """A built-in learner's steps: as many rollouts as configured, and rewards that count them."""
    size = _size(case)
    if size is None:
        return
    slow = case.tables["ledger"]
    slow = slow[slow["channel"].eq("slow") & slow["step"].isin(case.evaluated)]
    wrong = slow["rollouts"].ne(slow["optimizer_steps"] * size)
    rows = wrong.reindex(case.tables["ledger"].index, fill_value=False)
    case.rows("ledger", rows, f"rollouts are not {size} for each of its optimizer_steps")
    many = slow["optimizer_steps"].gt(slow["step"]).reindex(rows.index, fill_value=False)
    case.rows("ledger", many, "there are more optimizer_steps than training steps")
    _rewards(case, size)
    _tokens(case, slow, size)


def _rewards(case: Case, size: int) -> None:
    """Where responses are right or wrong, the reward of a step that trains counts whole ones."""
    frame = case.tables["steps"]
    if not all(known(domain) for domain in case.domains):
        return
    right = frame["reward"] * size
    wrong = frame["loss"].notna() & ((right - right.round()).abs() > 1e-6 * size)
    reason = f"reward · n is not whole: {size} rollouts, each right or wrong"
    case.rows("steps", wrong, reason)


def _tokens(case: Case, slow: pd.DataFrame, size: int) -> None:
    """Tokens sampled in training, summed over steps, are those of the ledger."""
    taken = case.tables["steps"].drop_duplicates("step").set_index("step")["completion_tokens"]
    total = taken.sort_index().cumsum() * size
    wanted = slow["step"].map(total)
    trains = slow["optimizer_steps"].eq(slow["step"]) & wanted.notna()
    close = np.isclose(slow["generated_tokens"], wanted, rtol=1e-6, atol=0.5)
    rows = (trains & ~close).reindex(case.tables["ledger"].index, fill_value=False)
    reason = "generated_tokens are not the sum of completion_tokens over the steps so far"
    case.rows("ledger", rows, reason)


def _size(case: Case) -> int | None:
    """Rollouts of one RL step; None where a learner may do as it likes."""
    sizes = [case.option("learning", name) for name in ("problems_per_step", "group_size")]
    return sizes[0] * sizes[1] if case.own and None not in sizes else None


def _rollouts(case: Case) -> pd.DataFrame:
    """Rollouts so far: a row for each step, a column for each channel."""
    frame = case.tables["ledger"].drop_duplicates(["step", "channel"])
    wide = frame.pivot(index="step", columns="channel", values="rollouts")
    return wide.reindex(columns=list(CHANNELS)).dropna()
