"""What was spent: the ledger, the training steps, and the counts beside every evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cl_bench.contract.records import CHANNELS
from cl_bench.contract.registry import LEARNERS
from cl_bench.store.schema import TABLES
from cl_bench.verify.checked_run import KEYS, CheckedRun, known

if TYPE_CHECKING:
    import pandas as pd

_LEAST_PROMPT = 4
"""Tokens of the shortest chat of a system prompt and a problem."""
_SPENT = [name for name in TABLES["ledger"].names if name not in KEYS["ledger"]]


def ledger(run: CheckedRun) -> None:
    """Both channels at every evaluation, nothing at step 0, and never less than before."""
    frame = run.tables["ledger"]
    there = set(zip(frame["step"], frame["channel"], strict=True))
    for step in run.evaluated:
        for channel in CHANNELS:
            if (step, channel) not in there:
                run.of_table("ledger", "the row is missing", f"step {step}, {channel}")
    spent = frame[_SPENT].astype(float)
    early = (spent.ne(0) & spent.notna()).any(axis=1) & frame["step"].eq(0) & (frame.index < 2)
    run.rows("ledger", early, "something is spent at step 0, before training")
    for name in (*_SPENT, "step"):
        change = frame[name].astype(float).groupby(frame["channel"]).diff()
        reason = f"{name} is less than in the row before of its channel; a ledger never decreases"
        run.rows("ledger", change < 0, reason)


def beside(run: CheckedRun) -> None:
    """`samples_slow` and `rollouts` of evaluations are those of the ledger at their step."""
    frame, ledger = run.tables["evaluations"], run.tables["ledger"]
    rows = ledger.drop_duplicates(["step", "channel"])
    spent = rows.pivot(index="step", columns="channel", values="rollouts")
    spent = spent.reindex(columns=list(CHANNELS)).dropna()
    for column, wanted in (("samples_slow", spent["slow"]), ("rollouts", spent.sum(axis=1))):
        right = frame["step"].map(wanted)
        wrong = right.notna() & frame[column].ne(right)
        reason = f"{column} is {{}}, but the ledger has {{}}"
        run.rows("evaluations", wrong, reason, frame[column], right)


def steps(run: CheckedRun) -> None:
    """A row for every training step, of the stage and domain that the stream has there."""
    frame = run.tables["steps"]
    last = run.ends[-1] if run.finished else run.last
    outside = ~frame["step"].between(1, run.ends[-1])
    run.rows("steps", outside, "the stream has no such step")
    if missing := sorted(set(range(1, last + 1)).difference(frame["step"])):
        reason = f"{len(missing)} of {last} steps have no row; the first of them is step"
        run.of_table("steps", f"{reason} {missing[0]}")
    stage = np.searchsorted(run.ends, frame["step"]) + 1
    run.rows("steps", ~outside & frame["stage"].ne(stage), "stage is not the one of the stream")
    right = frame["stage"].map(dict(enumerate((one["domain"] for one in run.stages), 1)))
    wrong = right.notna() & frame["domain"].ne(right)
    run.rows("steps", wrong, "domain is not the stream's there")


def channels(run: CheckedRun) -> None:
    """A built-in learner spends in the channels it has: rounds of prompts are what the fast one
    pays for, training steps the slow one, and either is there only with the other."""
    if not run.own:
        return
    learner, frame = run.learner, run.tables["ledger"]
    own = LEARNERS.load(learner).channels
    for channel in CHANNELS:
        rows = frame["channel"].eq(channel) & frame["step"].isin(run.evaluated)
        if channel in own:
            used = frame["rollouts"].ne(0) | frame["solution_tokens"].fillna(0).ne(0)
            idle = rows & frame["step"].gt(0) & ~used
            run.rows("ledger", idle, f"{learner} spends in the {channel} channel, but not here")
        else:
            spent = rows & frame[_SPENT].fillna(0).ne(0).any(axis=1)
            run.rows("ledger", spent, f"{learner} has no {channel} channel, but spends in it")
    if not LEARNERS.load(learner).from_solutions:
        shown = frame["solution_tokens"].fillna(0).ne(0)
        run.rows("ledger", shown, f"{learner} learns from no solutions, but has solution_tokens")
    if "fast" not in own and len(run.tables["prompts"]):
        run.of_table("prompts", f"{learner} has no rounds of prompts")
    _rounds(run, frame[frame["channel"].eq("fast")])


def _rounds(run: CheckedRun, fast: pd.DataFrame) -> None:
    """Between two evaluations prompts are rolled out exactly if there was a round, each scored one
    at least once, and every new one was asked of the reflector."""
    prompts = run.tables["prompts"]
    total = fast.groupby("step")[["rollouts", "reflection_calls"]].max()
    spent = total.diff().fillna(total)
    scored = prompts[prompts["score"].notna()].groupby("step").size()
    new = prompts[prompts["prompt_id"].ne(0)].drop_duplicates("prompt_id").groupby("step").size()
    counted = spent.join(scored.rename("scored"), how="outer").join(new.rename("new"), how="outer")
    for step, row in counted.fillna(0).iterrows():
        rollouts, calls, asked, made = map(int, row)
        if rollouts > 0 and not asked:
            reason = f"{rollouts} rollouts of prompts since the row before, but no round of any"
            run.of_table("prompts", reason, f"step {step}")
        if rollouts < asked:
            reason = f"{asked} prompts were scored with {rollouts} rollouts"
            run.of_table("ledger", reason, f"step {step}, fast")
        if calls < made:
            reason = f"{made} prompts were written in {calls} reflection_calls"
            run.of_table("ledger", reason, f"step {step}, fast")


def tokens(run: CheckedRun) -> None:
    """A built-in learner's rollouts read a prompt and give a response; rewrites are read too."""
    if not run.own:
        return
    frame = run.tables["ledger"]
    for name, each in (("prompt_tokens", _LEAST_PROMPT), ("generated_tokens", 1)):
        few = frame[name] < each * frame["rollouts"]
        run.rows("ledger", few, f"{name} are fewer than {each} for each of its rollouts")
    if run.learning("reflection_lm") == "base":
        answered = frame["reflection_calls"] - frame["reflection_failures"]
        few = frame["reflection_tokens"] < answered
        run.rows("ledger", few, "reflection_tokens are fewer than its reflection_calls")


def timed(run: CheckedRun) -> None:
    """Learning up to an evaluation took time, and so did the evaluation itself."""
    frame = run.tables["timing"]
    there = set(zip(frame["step"], frame["phase"], strict=True))
    for phase in ("evaluate", "learn"):
        for step in run.evaluated:
            if (step, phase) not in there and (step > 0 or phase == "evaluate"):
                reason = f"no time was recorded for the phase {phase}"
                run.of_table("timing", reason, f"step {step}")


def batches(run: CheckedRun) -> None:
    """A built-in learner's steps: as many rollouts as configured, rewards that count whole ones
    where responses are right or wrong, and tokens that sum up to those of the ledger."""
    if not run.own:
        return
    size = run.learning("problems_per_step") * run.learning("group_size")
    frame, slow = run.tables["steps"], run.tables["ledger"]
    slow = slow[slow["channel"].eq("slow") & slow["step"].isin(run.evaluated)]
    if slow["solution_tokens"].fillna(0).any():
        size = 0  # solutions take the place of rollouts
        # Of each problem at least one token and the one that ends it.
        least = 2 * run.learning("problems_per_step") * slow["optimizer_steps"]
        few = slow["solution_tokens"] < least
        run.rows("ledger", few, "solution_tokens are fewer than 2 for each problem learned")
    epochs = run.learning("epochs_per_batch") or 1  # None: a run from before there were more
    learned = slow["optimizer_steps"] / epochs
    wrong = slow["rollouts"].ne(learned * size)
    each = f"each of its optimizer_steps{f' / {epochs}' if epochs > 1 else ''}"
    run.rows("ledger", wrong, f"rollouts are not {size} for {each}")
    many = learned.gt(slow["step"])
    run.rows("ledger", many, "there are more optimizer_steps than training steps allow")
    if all(map(known, run.domains)):
        right = frame["reward"] * size
        wrong = frame["loss"].notna() & ((right - right.round()).abs() > 1e-6 * size)
        run.rows("steps", wrong, f"reward · n is not whole: {size} rollouts, each right or wrong")
    taken = frame.drop_duplicates("step").set_index("step")["completion_tokens"]
    wanted = slow["step"].map(taken.sort_index().cumsum() * size)
    trains = learned.eq(slow["step"]) & wanted.notna()
    close = np.isclose(slow["generated_tokens"], wanted, rtol=1e-6, atol=0.5)
    reason = "generated_tokens are not the sum of completion_tokens over the steps so far"
    run.rows("ledger", trains & ~close, reason)
