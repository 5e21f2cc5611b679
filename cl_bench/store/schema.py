"""The tidy tables of a run: their columns, types, units and meaning.

Raw rows are written once and never changed; every metric and figure is computed from them. The
version counts up whenever a column changes its name, type or meaning: a run of another one is not
read. docs/tables.md is made from this file:

    python -m cl_bench.store.schema_page > docs/tables.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

SCHEMA_VERSION = 1
"""Version of all tables together."""

TEST_SETS = ("stream", "retention", "harder")
WEIGHTS = ("trained", "base")

INTEGER, REAL, TEXT = pa.int64(), pa.float64(), pa.string()


def _column(
    name: str,
    kind: pa.DataType,
    unit: str,
    description: str,
    *,
    allowed: Sequence[str] = (),
    nullable: bool = False,
) -> pa.Field:
    metadata = {"description": description, "unit": unit, "allowed": ",".join(allowed)}
    return pa.field(name, kind, nullable=nullable, metadata=metadata)


def _table(name: str, description: str, *columns: pa.Field) -> pa.Schema:
    metadata = {"table": name, "description": description, "version": str(SCHEMA_VERSION)}
    return pa.schema(columns, metadata=metadata)


_STEP = _column("step", INTEGER, "step", "Training step of the whole stream; 0 is before training.")
_STAGE = _column("stage", INTEGER, "number", "Stage that the step belongs to, from 1; 0 at step 0.")
_DOMAIN = _column("domain", TEXT, "name", "Domain of the test problems, by its registry name.")
_PROMPT = _column(
    "prompt",
    TEXT,
    "name",
    "System prompt: the seed prompt, the learner's own at this step, or (on a retention domain, "
    "outside the stream) the seed prompt with each item's own convention stated.",
    allowed=("seed", "learner", "stated"),
)
_TEST_SET = _column(
    "test_set",
    TEXT,
    "name",
    "Which test problems: the stream's own, those of its domains in their hardest setting, or "
    "those of domains outside the stream.",
    allowed=TEST_SETS,
)
_SETTING = _column("setting", TEXT, "name", "Difficulty of the problems, a setting of the domain.")
_WEIGHTS = _column(
    "weights",
    TEXT,
    "name",
    "Whose responses are scored: those of the policy in training or of the frozen base model.",
    allowed=WEIGHTS,
)
_AT = _column(
    "at",
    TEXT,
    "name",
    "Place of the evaluation: before training, inside a stage, or at the end of one.",
    allowed=("start", "inside", "stage-end"),
)
_UID = _column("uid", TEXT, "identifier", "Test problem, by an identifier that every run shares.")
_SCORE = _column("score", REAL, "share", "The verifier's score of the response, from 0 to 1.")
_ANSWER = _column(
    "answer",
    TEXT,
    "text",
    "Answer read out of the response; null when none could be read.",
    nullable=True,
)

EVALUATIONS = _table(
    "evaluations",
    "One row per evaluation point, domain, test set, prompt and weights. In rows of weights `base` "
    "the policy is the base itself: its divergences are 0.",
    _STEP,
    _STAGE,
    _AT,
    _DOMAIN,
    _TEST_SET,
    _SETTING,
    _PROMPT,
    _WEIGHTS,
    _column("accuracy", REAL, "share", "Mean score over items and samples (mean@n_samples)."),
    _column("n_items", INTEGER, "items", "Test problems that were scored."),
    _column("n_samples", INTEGER, "responses/item", "Responses sampled to each test problem."),
    _column(
        "kl_policy_base",
        REAL,
        "nats/token",
        "KL(policy ‖ base) on responses of the policy, exact over the vocabulary, mean per token.",
    ),
    _column(
        "kl_policy_base_sequence",
        REAL,
        "nats/sequence",
        "KL(policy ‖ base) on responses of the policy, summed over a response, mean of responses.",
    ),
    _column("kl_policy_base_tokens", INTEGER, "tokens", "Tokens that kl_policy_base averages."),
    _column(
        "kl_base_policy",
        REAL,
        "nats/token",
        "KL(base ‖ policy) on responses of the base, exact over the vocabulary, mean per token.",
    ),
    _column(
        "kl_base_policy_sequence",
        REAL,
        "nats/sequence",
        "KL(base ‖ policy) on responses of the base, summed over a response, mean of responses.",
    ),
    _column("kl_base_policy_tokens", INTEGER, "tokens", "Tokens that kl_base_policy averages."),
    _column(
        "kl_deployed_start",
        REAL,
        "nats/token",
        "KL(policy under this prompt ‖ base under the seed prompt) on responses of the policy, "
        "exact over the vocabulary, mean per token: how far what is deployed lies from the start. "
        "Null outside the stream's own problems, and where it was not measured.",
        nullable=True,
    ),
    _column(
        "kl_deployed_start_sequence",
        REAL,
        "nats/sequence",
        "The same, summed over a response, mean of responses.",
        nullable=True,
    ),
    _column("entropy", REAL, "nats/token", "Mean token entropy of the policy on its responses."),
    _column(
        "format_rate",
        REAL,
        "share",
        "Responses whose answer stood in a form of its own (boxed, tagged, after `answer:`); null "
        "on domains that do not ask that, and where it was not noted.",
        nullable=True,
    ),
    _column(
        "truncation_rate",
        REAL,
        "share",
        "Responses that were cut off at the length limit; null where it was not noted.",
        nullable=True,
    ),
    _column("completion_tokens", REAL, "tokens", "Mean length of the policy's responses."),
    _column("temperature", REAL, "number", "Sampling temperature of responses and divergences."),
    _column("samples_slow", INTEGER, "rollouts", "RL rollouts spent on learning so far."),
    _column(
        "rollouts",
        INTEGER,
        "rollouts",
        "All rollouts spent on learning so far, the prompt optimiser's included.",
    ),
)

ITEMS = _table(
    "items",
    "One row per sampled response of an evaluation.",
    _STEP,
    _DOMAIN,
    _TEST_SET,
    _SETTING,
    _PROMPT,
    _WEIGHTS,
    _UID,
    _column(
        "sample",
        INTEGER,
        "number",
        "Which of the responses to this problem, from 0; null where the scores were kept, but not "
        "which response each is of.",
        nullable=True,
    ),
    _SCORE,
    _ANSWER,
    _column(
        "formatted",
        INTEGER,
        "0 or 1",
        "Whether the answer stood in a form of its own; null on domains that do not ask that, and "
        "where it was not noted.",
        nullable=True,
    ),
    _column(
        "truncated",
        INTEGER,
        "0 or 1",
        "Whether the response was cut off at the length limit; null where it was not noted.",
        nullable=True,
    ),
    _column(
        "completion_tokens",
        INTEGER,
        "tokens",
        "Length of the response; null where it was not kept.",
        nullable=True,
    ),
)

STEPS = _table(
    "steps",
    "One row per training step; NaN where a learner has no such quantity.",
    _STEP,
    _STAGE,
    _column("domain", TEXT, "name", "Domain the stream trained on; the learner is not told."),
    _column("reward", REAL, "share", "Mean score of the step's rollouts."),
    _column("signal", REAL, "share", "Share of groups whose rewards differ (advantage not zero)."),
    _column("loss", REAL, "number", "Policy loss; its value alone means little."),
    _column("grad_norm", REAL, "number", "Norm of the gradient before clipping."),
    _column("entropy", REAL, "nats/token", "Mean token entropy of the policy."),
    _column("completion_tokens", REAL, "tokens", "Mean length of a rollout."),
    _column("seconds", REAL, "seconds", "Wall time of the step."),
)

PROMPTS = _table(
    "prompts",
    "One row per candidate prompt and round of the prompt optimiser: the lineage.",
    _STEP,
    _column("round", INTEGER, "number", "Round of the prompt optimiser, from 1."),
    _column("prompt_id", INTEGER, "identifier", "The prompt, unique in a run; 0 is the seed."),
    _column("parent_id", INTEGER, "identifier", "Prompt it was rewritten from; -1 for the seed."),
    _column("text", TEXT, "text", "The prompt itself."),
    _column(
        "score",
        REAL,
        "share",
        "Mean score on the round's exercises; NaN if it was not scored on all of them.",
    ),
    _column(
        "fate",
        TEXT,
        "name",
        "In the population after the round; pruned from it; or never better than its parent.",
        allowed=("kept", "dropped", "rejected"),
    ),
)

LEDGER = _table(
    "ledger",
    "One row per evaluation point and channel: everything spent on learning so far.",
    _STEP,
    _column(
        "channel",
        TEXT,
        "name",
        "What spent it: slow weights (parameters) or fast weights (prompts).",
        allowed=("slow", "fast"),
    ),
    _column("rollouts", INTEGER, "rollouts", "Responses sampled for learning; not evaluation."),
    _column("prompt_tokens", INTEGER, "tokens", "Tokens read for those responses."),
    _column("generated_tokens", INTEGER, "tokens", "Tokens sampled in those responses."),
    _column("reflection_calls", INTEGER, "calls", "Rewrites asked of the reflection LM."),
    _column("reflection_tokens", INTEGER, "tokens", "Tokens the reflection LM read and wrote."),
    _column("reflection_failures", INTEGER, "rewrites", "Rewrites skipped: no usable text."),
    _column("reflection_repeats", INTEGER, "rewrites", "Rewrites equal to a prompt at hand."),
    _column("optimizer_steps", INTEGER, "updates", "Updates of the parameters."),
    _column("seconds", REAL, "seconds", "Wall time of the channel."),
)

TIMING = _table(
    "timing",
    "One row per stretch of wall time, by what the run was doing.",
    _STEP,
    _column("phase", TEXT, "name", "What the time went to: learn, evaluate, checkpoint and so on."),
    _column("seconds", REAL, "seconds", "Wall time of this stretch."),
)

TRANSCRIPTS = _table(
    "transcripts",
    "One row per response that is kept in full: at the start and at stage ends, the policy's first "
    "response to each of the first problems of every domain of the stream, under both prompts. The "
    "problems are the same each time, and every row has its row of items.",
    _STEP,
    _STAGE,
    _AT,
    _DOMAIN,
    _TEST_SET,
    _SETTING,
    _PROMPT,
    _WEIGHTS,
    _UID,
    _column("sample", INTEGER, "number", "Which of the responses to this problem, from 0."),
    _column("system_prompt", TEXT, "text", "The system prompt that the model was given."),
    _column("problem", TEXT, "text", "The user's message: the problem as the model was given it."),
    _column("response", TEXT, "text", "The response, as the verifier was given it."),
    _SCORE,
    _ANSWER,
    _column(
        "feedback",
        TEXT,
        "text",
        "What the verifier says of the response, at the run's feedback level; may be empty.",
    ),
    _column(
        "reference",
        TEXT,
        "text",
        "The right answer, as the task gives it; null when it gives none.",
        nullable=True,
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
