"""Forged spending, prompts and transcripts: each is found, in its file and with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from .tampering import Forgery, Tamper, drop, edit, require_found

STEPS, PROMPTS, LEDGER, TRANSCRIPTS, EVALUATIONS = (
    f"tables/{name}.parquet"
    for name in ("steps", "prompts", "ledger", "transcripts", "evaluations")
)


def fewer_rollouts(run: Forgery) -> None:
    """Half of the training samples, in the ledger and beside every evaluation."""
    half = {"rollouts": lambda old: old // 2}
    run.edit("ledger", "rollouts", half["rollouts"], channel="slow")
    spent = run.tables["ledger"].pivot(index="step", columns="channel", values="rollouts")
    frame = run.tables["evaluations"]
    frame["samples_slow"] = frame["step"].map(spent["slow"])
    frame["rollouts"] = frame["step"].map(spent.sum(axis=1))


FORGERIES: dict[str, tuple[Tamper, str, str]] = {
    "the ledger goes down": (
        edit("ledger", "reflection_tokens", lambda old: old - 5, step=6, channel="fast"),
        LEDGER,
        "reflection_tokens is less than in the row before of its channel",
    ),
    "half the rollouts, everywhere": (
        fewer_rollouts,
        LEDGER,
        "rollouts are not 12 for each of its optimizer_steps",
    ),
    "something is spent before training": (
        edit("ledger", "prompt_tokens", 9, step=0),
        LEDGER,
        "something is spent at step 0",
    ),
    "fewer tokens in the ledger": (
        edit("ledger", "generated_tokens", lambda old: old - 1, step=6, channel="slow"),
        LEDGER,
        "generated_tokens are not the sum of completion_tokens",
    ),
    "a channel of the ledger is dropped": (
        drop("ledger", step=6, channel="fast"),
        LEDGER,
        "step 6, fast: the row is missing",
    ),
    "a training step is dropped": (
        drop("steps", step=4),
        STEPS,
        "1 of 6 steps have no row; the first of them is step 4",
    ),
    "a training step is of another domain": (
        edit("steps", "domain", "facts", step=4),
        STEPS,
        "domain is not the stream's there",
    ),
    "a reward counts parts of rollouts": (
        edit("steps", "reward", 0.3, step=4),
        STEPS,
        "reward · n is not whole: 12 rollouts",
    ),
    "a prompt without its parent": (
        edit("prompts", "parent_id", 77, prompt_id=1),
        PROMPTS,
        "its parent, prompt 77, is not there",
    ),
    "a second seed prompt": (
        edit("prompts", "parent_id", -1, prompt_id=1),
        PROMPTS,
        "only prompt 0, the seed, has no parent",
    ),
    "a prompt changes its text": (
        lambda run: run.edit("prompts", "text", "cheat .", round=2, prompt_id=1),
        PROMPTS,
        "text is not what it was in an earlier round",
    ),
    "a rejected prompt has a score": (
        edit("prompts", "score", 0.5, fate="rejected"),
        PROMPTS,
        "it was rejected, but has a score",
    ),
    "a dropped prompt comes back": (
        edit("prompts", "fate", "dropped", round=1, prompt_id=1),
        PROMPTS,
        "it was dropped or rejected before, and is back",
    ),
    "a response is embellished": (
        edit("transcripts", "response", "answer 7", step=6, domain="math"),
        TRANSCRIPTS,
        "is not what the verifier says of this problem and response",
    ),
    "a transcript of another score": (
        edit("transcripts", "score", 0.5, step=6, domain="math"),
        TRANSCRIPTS,
        "score is not that of its row in items",
    ),
    "a transcript is dropped": (
        lambda run: run.tables.update(transcripts=run.tables["transcripts"].iloc[1:]),
        TRANSCRIPTS,
        "it has 2 transcripts, not 3",
    ),
    "a system prompt that the learner never had": (
        edit("transcripts", "system_prompt", "you know the answer .", step=6, prompt="learner"),
        TRANSCRIPTS,
        "system_prompt is no prompt that the learner had by then",
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_pack_is_found_out(name: str, packed_run: Path, tmp_path: Path) -> None:
    tamper, file, words = FORGERIES[name]
    require_found(tamper, words, file, packed_run, tmp_path / "forged.zip")
