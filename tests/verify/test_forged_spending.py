"""Forged spending, prompts and transcripts: each is found, in its file and with the reason."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pandas as pd
import pytest

from cl_bench.slow.settings import RLConfig
from cl_bench.verify.run import verify_run

from .tampering import (
    Forgeries,
    Forgery,
    Tamper,
    both,
    drop,
    edit,
    forgeries,
    option,
    require_found,
)

STEPS, PROMPTS, LEDGER, TRANSCRIPTS, EVALUATIONS, TIMING = (
    f"tables/{name}.parquet"
    for name in ("steps", "prompts", "ledger", "transcripts", "evaluations", "timing")
)


def fewer_rollouts(run: Forgery) -> None:
    """Half of the training samples, in the ledger and beside every evaluation."""
    half = {"rollouts": lambda old: old // 2}
    run.edit("ledger", "rollouts", half["rollouts"], channel="slow")
    spent = run.tables["ledger"].pivot(index="step", columns="channel", values="rollouts")
    frame = run.tables["evaluations"]
    frame["samples_slow"] = frame["step"].map(spent["slow"])
    frame["rollouts"] = frame["step"].map(spent.sum(axis=1))


def no_fast_channel(run: Forgery) -> None:
    """As if prompts had been evolved for nothing, in the ledger and beside every evaluation."""
    frame = run.tables["ledger"]
    spent = [name for name in frame.columns if name not in ("step", "channel")]
    frame.loc[frame["channel"].eq("fast"), spent] = 0
    evaluations = run.tables["evaluations"]
    evaluations["rollouts"] = evaluations["samples_slow"]


def no_prompts(run: Forgery) -> None:
    run.tables["prompts"] = run.tables["prompts"].iloc[:0]


def no_tokens_read(run: Forgery) -> None:
    """Every count of tokens but those that were generated."""
    run.tables["ledger"][["prompt_tokens", "reflection_tokens"]] = 0


def perfect_prompts(run: Forgery) -> None:
    frame = run.tables["prompts"]
    frame.loc[frame["score"].notna(), "score"] = 1.0


def no_times(run: Forgery) -> None:
    run.tables["timing"] = run.tables["timing"].iloc[:0]


def relabelled(run: Forgery) -> None:
    """A learner without prompts, with settings that it has."""
    config = run.manifest["config"]
    run.manifest["learner"] = config["learner"] = "rl"
    kept = {item.name for item in fields(RLConfig)}
    config["learning"] = {name: value for name, value in config["learning"].items() if name in kept}


def given_up(status: str) -> Tamper:
    """A bad seed that is hidden from the mean."""

    def tamper(run: Forgery) -> None:
        run.manifest["status"] = status

    return tamper


def cut_short(run: Forgery) -> None:
    """The last stretch is gone, as if it had diverged."""
    run.manifest["status"] = "diverged"
    for name in ("evaluations", "items", "steps", "prompts", "ledger", "timing", "transcripts"):
        frame = run.tables[name]
        run.tables[name] = frame[frame["step"].le(3)].reset_index(drop=True)


def of_another_version(run: Forgery) -> None:
    for stage in run.manifest["stream"]["stages"]:
        stage["domain_version"] = "9"


FORGERIES: Forgeries = {
    LEDGER: {
        "reflection_tokens is less than in the row before of its channel": edit(
            "ledger", "reflection_tokens", lambda old: old - 5, step=6, channel="fast"
        ),
        "rollouts are not 12 for each of its optimizer_steps": fewer_rollouts,
        "something is spent at step 0": edit("ledger", "prompt_tokens", 9, step=0),
        "generated_tokens are not the sum of completion_tokens": edit(
            "ledger", "generated_tokens", lambda old: old - 1, step=6, channel="slow"
        ),
        "step 6, fast: the row is missing": drop("ledger", step=6, channel="fast"),
        "fst spends in the fast channel, but not here": no_fast_channel,
        "3 prompts were scored with 0 rollouts": no_fast_channel,
        "2 prompts were written in 0 reflection_calls": edit("ledger", "reflection_calls", 0),
        "prompt_tokens are fewer than 4 for each of its rollouts": no_tokens_read,
        "reflection_tokens are fewer than its reflection_calls": no_tokens_read,
        "rl has no fast channel, but spends in it": relabelled,
        "fst learns from no solutions, but has solution_tokens": edit(
            "ledger", "solution_tokens", 9, step=6, channel="slow"
        ),
    },
    STEPS: {
        "1 of 6 steps have no row; the first of them is step 4": drop("steps", step=4),
        "domain is not the stream's there": edit("steps", "domain", "facts", step=4),
        "reward · n is not whole: 12 rollouts": edit("steps", "reward", 0.3, step=4),
    },
    PROMPTS: {
        "its parent, prompt 77, is not there": edit("prompts", "parent_id", 77, prompt_id=1),
        "only prompt 0, the seed, has no parent": edit("prompts", "parent_id", -1, prompt_id=1),
        "text is not what it was in an earlier round": lambda run: run.edit(
            "prompts", "text", "cheat .", round=2, prompt_id=1
        ),
        "it was rejected, but has a score": edit("prompts", "score", 0.5, fate="rejected"),
        "it was dropped or rejected before, and is back": edit(
            "prompts", "fate", "dropped", round=1, prompt_id=1
        ),
        "60 rollouts of prompts since the row before, but no round of any": no_prompts,
        "fate is not what the scores of its round give": perfect_prompts,
        "score · n is not whole for any number n of exercises up to 16": edit(
            "prompts", "score", 0.4713, step=2, prompt_id=1
        ),
        "rl has no rounds of prompts": relabelled,
    },
    "manifest.json": {
        "status is 'failed', but the run was evaluated at step 6, its last": given_up("failed"),
        "status is 'diverged', but the run was evaluated at step 6, its last": given_up("diverged"),
        "status is 'diverged', but the tables have no stretch that diverged": cut_short,
        "'lr' is not a learner of this installation": both(
            option("lr", "learner"), option("lr", "config", "learner")
        ),
        "is on math in version '9'; there is none above 1": of_another_version,
        "is on acme-streams/math, but no plug-in is named": option(
            "acme-streams/math", "stream", "stages", 0, "domain"
        ),
    },
    TIMING: {
        "no time was recorded for the phase evaluate": no_times,
    },
    TRANSCRIPTS: {
        "is not what the verifier says of this problem and response": edit(
            "transcripts", "response", "answer 7", step=6, domain="math"
        ),
        "score is not that of its row in items": edit(
            "transcripts", "score", 0.5, step=6, domain="math"
        ),
        "it has 2 transcripts, not 3": lambda run: run.tables.update(
            transcripts=run.tables["transcripts"].iloc[1:]
        ),
        "it has 4 transcripts, not 3": lambda run: run.tables.update(
            transcripts=pd.concat([run.tables["transcripts"].iloc[:1], run.tables["transcripts"]])
        ),
        "system_prompt is not a prompt that the learner had by then": edit(
            "transcripts", "system_prompt", "you know the answer .", step=6, prompt="learner"
        ),
    },
}


@pytest.mark.parametrize(("file", "words", "tamper"), forgeries(FORGERIES))
def test_a_forged_pack_is_found_out(
    file: str, words: str, tamper: Tamper, packed_run: Path, tmp_path: Path
) -> None:
    require_found(tamper, words, file, packed_run, tmp_path / "forged.zip")


@pytest.mark.parametrize(
    ("score", "found"),
    [(0.125, False), (0.25, True)],  # below the seed prompt, perhaps clearly so, and above it
)
def test_what_did_worse_than_the_seed_prompt_may_be_left_out(
    score: float, found: bool, packed_run: Path, tmp_path: Path
) -> None:
    forged = Forgery(packed_run)
    forged.manifest["config"]["learning"]["population"] = 3
    for number, fate, scored in ((0, "kept", 0.1875), (1, "kept", 1.0), (2, "dropped", score)):
        forged.edit("prompts", "score", scored, round=1, prompt_id=number)
        forged.edit("prompts", "fate", fate, round=1, prompt_id=number)
    report = verify_run(forged.write(tmp_path / "forged.zip"))
    words = "fate is not what the scores of its round give"
    assert any(words in finding.text() for finding in report.findings) == found


def test_a_response_is_verified_without_its_thought(packed_run: Path, tmp_path: Path) -> None:
    run = Forgery(packed_run)
    run.edit("transcripts", "response", lambda old: f"<think>answer 7</think> {old}")
    assert verify_run(run.write(tmp_path / "a.zip")).findings == []
    run.edit("transcripts", "response", lambda old: old.replace("</think>", ""))
    words = [finding.text() for finding in verify_run(run.write(tmp_path / "b.zip")).findings]
    assert any("is not what the verifier says" in text for text in words)
