"""The tidy tables of a run: their columns, types, units and meaning.

Raw rows are written once and never changed; every metric and figure is computed from them. The
version counts up whenever a column changes its name, type or meaning: a run of another one is not
read. A nullable column may be added without that; in tables that lack it, it is null.
docs/tables.md is made from this file:

    python -m cl_bench.store.schema_page > docs/tables.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from cl_bench.contract.records import CHANNELS, PromptRecord, Spend, StepRecord, columns_of

SCHEMA_VERSION = 1
"""Version of all tables together."""

TEST_SETS = ("stream", "retention", "harder", "greedy", "validation")
WEIGHTS = ("trained", "base")

INTEGER, REAL, TEXT = pa.int64(), pa.float64(), pa.string()


def _column(
    kind: pa.DataType,
    unit: str,
    description: str,
    *,
    allowed: Sequence[str] = (),
    nullable: bool = False,
) -> pa.Field:
    """A column, whose name its table gives it."""
    metadata = {"description": description, "unit": unit, "allowed": ",".join(allowed)}
    return pa.field("", kind, nullable=nullable, metadata=metadata)


_integer, _real, _text = (partial(_column, kind) for kind in (INTEGER, REAL, TEXT))


def _of_record(record: type[Any]) -> dict[str, pa.Field]:
    """The columns of what learners report."""
    kinds = {int: INTEGER, float: REAL, str: TEXT}
    return {
        of.name: _column(
            kinds[of.type], of.unit, of.description, allowed=of.allowed, nullable=of.nullable
        )
        for of in columns_of(record)
    }


def _table(name: str, description: str, /, **columns: pa.Field) -> pa.Schema:
    metadata = {"table": name, "description": description, "version": str(SCHEMA_VERSION)}
    return pa.schema([of.with_name(title) for title, of in columns.items()], metadata=metadata)


_STEP = _integer("step", "Training step of the whole stream; 0 is before training.")
_STAGE = _integer("number", "Stage that the step belongs to, from 1; 0 at step 0.")
_DOMAIN = _text("name", "Domain of the problems, by its registry name.")
_PROMPT = _text(
    "name",
    "System prompt: the seed prompt, the learner's own at this step, or (on a retention domain, "
    "outside the stream) the seed prompt with each item's own convention stated.",
    allowed=("seed", "learner", "stated"),
)
_TEST_SET = _text(
    "name",
    "Which problems: the stream's own test problems, those of its domains in their hardest "
    "setting, or those of domains outside the stream; `greedy`: the stream's own once more, one "
    "response each at temperature 0; `validation`: validation problems of the stream's domains.",
    allowed=TEST_SETS,
)
_SETTING = _text("name", "Difficulty of the problems, a setting of the domain.")
_WEIGHTS = _text(
    "name",
    "Whose responses are scored: those of the policy in training or of the frozen base model.",
    allowed=WEIGHTS,
)
_AT = _text(
    "name",
    "Place of the evaluation: before training, inside a stage, or at the end of one.",
    allowed=("start", "inside", "stage-end"),
)
_UID = _text("identifier", "Problem, by an identifier that every run shares.")
_SCORE = _real("share", "The verifier's score of the response, from 0 to 1.")
_ANSWER = _text(
    "text", "Answer read out of the response; null when none could be read.", nullable=True
)

EVALUATIONS = _table(
    "evaluations",
    "One row per evaluation point, domain, test set, prompt and weights. In rows of weights `base` "
    "the policy is the base itself: its divergences are 0. On `greedy` and `validation` problems, "
    "and of a benchmark outside the stream (lm_eval:TASK), divergences and entropy are not "
    "measured: NaN, of 0 tokens. A benchmark's prompts are its own, and its length is NaN where it "
    "samples no response.",
    step=_STEP,
    stage=_STAGE,
    at=_AT,
    domain=_DOMAIN,
    test_set=_TEST_SET,
    setting=_SETTING,
    prompt=_PROMPT,
    weights=_WEIGHTS,
    accuracy=_real("share", "Mean score over items and samples (mean@n_samples)."),
    n_items=_integer("items", "Problems that were scored."),
    n_samples=_integer("responses/item", "Responses sampled to each problem."),
    kl_policy_base=_real(
        "nats/token",
        "KL(policy ‖ base) on responses of the policy, exact over the vocabulary, mean per token.",
    ),
    kl_policy_base_sequence=_real(
        "nats/sequence",
        "KL(policy ‖ base) on responses of the policy, summed over a response, mean of responses.",
    ),
    kl_policy_base_tokens=_integer("tokens", "Tokens that kl_policy_base averages."),
    kl_base_policy=_real(
        "nats/token",
        "KL(base ‖ policy) on responses of the base, exact over the vocabulary, mean per token.",
    ),
    kl_base_policy_sequence=_real(
        "nats/sequence",
        "KL(base ‖ policy) on responses of the base, summed over a response, mean of responses.",
    ),
    kl_base_policy_tokens=_integer("tokens", "Tokens that kl_base_policy averages."),
    kl_deployed_start=_real(
        "nats/token",
        "KL(policy under this prompt ‖ base under the seed prompt) on responses of the policy, "
        "exact over the vocabulary, mean per token: how far what is deployed lies from the start. "
        "Null outside the stream's own problems, and where it was not measured.",
        nullable=True,
    ),
    kl_deployed_start_sequence=_real(
        "nats/sequence", "The same, summed over a response, mean of responses.", nullable=True
    ),
    entropy=_real("nats/token", "Mean token entropy of the policy on its responses."),
    format_rate=_real(
        "share",
        "Responses whose answer stood in a form of its own (boxed, tagged, after `answer:`); null "
        "on domains that do not ask that, and where it was not noted.",
        nullable=True,
    ),
    truncation_rate=_real(
        "share",
        "Responses that were cut off at the length limit; null where it was not noted.",
        nullable=True,
    ),
    completion_tokens=_real("tokens", "Mean length of the policy's responses."),
    thought_tokens=_real(
        "tokens",
        "Of that length, the thoughts with which responses begin, tags included; null of a "
        "benchmark, and where it was not noted.",
        nullable=True,
    ),
    thought_truncation_rate=_real(
        "share",
        "Responses that were cut off before their thought had ended, which are part of "
        "truncation_rate; null likewise.",
        nullable=True,
    ),
    temperature=_real("number", "Sampling temperature of responses and divergences; 0 is greedy."),
    samples_slow=_integer("rollouts", "RL rollouts spent on learning so far."),
    rollouts=_integer(
        "rollouts", "All rollouts spent on learning so far, the prompt optimiser's included."
    ),
)

ITEMS = _table(
    "items",
    "One row per sampled response of an evaluation.",
    step=_STEP,
    domain=_DOMAIN,
    test_set=_TEST_SET,
    setting=_SETTING,
    prompt=_PROMPT,
    weights=_WEIGHTS,
    uid=_UID,
    sample=_integer(
        "number",
        "Which of the responses to this problem, from 0; null where the scores were kept, but not "
        "which response each is of.",
        nullable=True,
    ),
    score=_SCORE,
    answer=_ANSWER,
    formatted=_integer(
        "0 or 1",
        "Whether the answer stood in a form of its own; null on domains that do not ask that, and "
        "where it was not noted.",
        nullable=True,
    ),
    truncated=_integer(
        "0 or 1",
        "Whether the response was cut off at the length limit; null where it was not noted.",
        nullable=True,
    ),
    completion_tokens=_integer(
        "tokens", "Length of the response; null where it was not kept.", nullable=True
    ),
    thought_tokens=_integer(
        "tokens",
        "How much of it is the thought that it begins with, tags included; all of it if the "
        "thought has no end. Null of a benchmark, and where it was not noted.",
        nullable=True,
    ),
)

STEPS = _table(
    "steps",
    "One row per training step; NaN where a learner has no such quantity.",
    step=_STEP,
    stage=_STAGE,
    domain=_text("name", "Domain the stream trained on; the learner is not told."),
    **_of_record(StepRecord),
)

PROMPTS = _table(
    "prompts",
    "One row per candidate prompt and round of the prompt optimiser: the lineage.",
    step=_STEP,
    **_of_record(PromptRecord),
)

LEDGER = _table(
    "ledger",
    "One row per evaluation point and channel: everything spent on learning so far.",
    step=_STEP,
    channel=_text(
        "name",
        "What spent it: slow weights (parameters) or fast weights (prompts).",
        allowed=CHANNELS,
    ),
    **_of_record(Spend),
)

TIMING = _table(
    "timing",
    "One row per stretch of wall time, by what the run was doing.",
    step=_STEP,
    phase=_text("name", "What the time went to: learn, evaluate, checkpoint and so on."),
    seconds=_real("seconds", "Wall time of this stretch."),
)

TRANSCRIPTS = _table(
    "transcripts",
    "One row per response that is kept in full: at the start and at stage ends, the policy's first "
    "response to each of the first problems of every domain of the stream, under both prompts. "
    "These problems are the same each time; where the responses to them are all right or all "
    "wrong, the first response that is not is kept too. Every row has its row of items.",
    step=_STEP,
    stage=_STAGE,
    at=_AT,
    domain=_DOMAIN,
    test_set=_TEST_SET,
    setting=_SETTING,
    prompt=_PROMPT,
    weights=_WEIGHTS,
    uid=_UID,
    sample=_integer("number", "Which of the responses to this problem, from 0."),
    system_prompt=_text("text", "The system prompt that the model was given."),
    problem=_text("text", "The user's message: the problem as the model was given it."),
    response=_text(
        "text", "The response; the verifier was given what follows its thought, if it has one."
    ),
    score=_SCORE,
    answer=_ANSWER,
    feedback=_text(
        "text", "What the verifier says of the response, at the run's feedback level; may be empty."
    ),
    reference=_text(
        "text", "The right answer, as the task gives it; null when it gives none.", nullable=True
    ),
)

TABLES: Mapping[str, pa.Schema] = {
    "evaluations": EVALUATIONS,
    "items": ITEMS,
    "steps": STEPS,
    "prompts": PROMPTS,
    "ledger": LEDGER,
    "timing": TIMING,
    "transcripts": TRANSCRIPTS,
}
"""Every table of a run directory, by name."""


def allowed_values(field: pa.Field) -> tuple[str, ...]:
    """The names a text column is limited to; empty when it takes any text."""
    return tuple(filter(None, field.metadata[b"allowed"].decode().split(",")))
