"""The rows that learners report: the columns of the tables `steps`, `prompts` and `ledger`.

A record is its table's schema: `cl_bench.store.schema` makes the columns from these fields.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from math import nan
from typing import Any, Literal, get_args, get_type_hints

Channel = Literal["slow", "fast"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
Fate = Literal["kept", "dropped", "rejected"]
"""Of a candidate prompt: in the population after the round; pruned from it; or never better than
its parent."""


def column(unit: str, says: str, default: Any = MISSING, *, younger: bool = False) -> Any:
    """A field that is a column, with its unit and its sentence.

    One that is `younger` than runs that are kept is null in their tables.
    """
    return field(default=default, metadata={"unit": unit, "description": says, "null": younger})


@dataclass(frozen=True, slots=True)
class ColumnOf:
    """One field of a record, for the schema of its table."""

    name: str
    type: type
    """`int`, `float` or `str`."""
    unit: str
    description: str
    allowed: tuple[str, ...]
    nullable: bool
    """The texts it is limited to; empty for any."""


def columns_of(record: type[Any]) -> list[ColumnOf]:
    """The columns of a record, in the order of its fields."""
    types = get_type_hints(record)
    return [
        ColumnOf(
            item.name,
            types[item.name] if isinstance(types[item.name], type) else str,
            item.metadata["unit"],
            item.metadata["description"],
            get_args(types[item.name]),
            item.metadata["null"],
        )
        for item in fields(record)
    ]


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One training step. NaN where a learner has no such quantity (no slow weights)."""

    reward: float = column("share", "Mean score of the step's rollouts.")
    signal: float = column("share", "Share of groups whose rewards differ (advantage not zero).")
    loss: float = column(
        "number", "Policy loss, a mean over the step's epochs; its value alone means little."
    )
    grad_norm: float = column(
        "number", "Norm of the gradient before clipping, a mean over the step's epochs."
    )
    entropy: float = column(
        "nats/token",
        "Mean token entropy of the policy; with vLLM estimated from the sampled tokens.",
    )
    completion_tokens: float = column("tokens", "Mean length of a rollout.")
    seconds: float = column("seconds", "Wall time of the step.")
    sampler_ratio: float = column(
        "number",
        "Mean, over the tokens trained on, of trainer's probability / sampler's before the step's "
        "first update; null where the trained model samples itself, so that it is 1.",
        nan,
        younger=True,
    )
    sampler_ratio_max: float = column(
        "number", "The greatest of those ratios, before truncation.", nan, younger=True
    )
    sampler_ratio_cut: float = column(
        "share", "Of those tokens, the ones whose ratio `ratio_cap` truncated.", nan, younger=True
    )
    epoch_ratio: float = column(
        "number",
        "Mean, over the tokens trained on in the epochs after the first, of the importance ratio: "
        "probability now / when sampled; null where a batch has one epoch.",
        nan,
        younger=True,
    )
    epoch_ratio_max: float = column(
        "number", "The greatest of those ratios, before truncation.", nan, younger=True
    )
    epoch_ratio_cut: float = column(
        "share", "Of those tokens, the ones whose ratio `ratio_cap` truncated.", nan, younger=True
    )


@dataclass(frozen=True, slots=True)
class PromptRecord:
    """One candidate prompt in one round of the prompt optimiser: a row of the lineage."""

    round: int = column("number", "Round of the prompt optimiser, from 1.")
    prompt_id: int = column("identifier", "The prompt, unique in a run; 0 is the seed.")
    parent_id: int = column("identifier", "Prompt it was rewritten from; -1 for the seed.")
    text: str = column("text", "The prompt itself.")
    score: float = column(
        "share", "Mean score on the round's exercises; NaN if it was not scored on all of them."
    )
    fate: Fate = column(
        "name",
        "In the population after the round; pruned from it; or never better than its parent.",
    )


@dataclass(slots=True)
class Spend:
    """The amounts that one channel has spent so far."""

    rollouts: int = column("rollouts", "Responses sampled for learning; not evaluation.", 0)
    prompt_tokens: int = column("tokens", "Tokens read for those responses.", 0)
    generated_tokens: int = column("tokens", "Tokens sampled in those responses.", 0)
    solution_tokens: int = column(
        "tokens",
        "Tokens of solutions that parameters were fitted to. Null where it was not counted.",
        0,
        younger=True,
    )
    proposals: int = column(
        "proposals",
        "Rewrites proposed: a parent and the minibatch that its feedback comes from; those without "
        "a mistake are not asked for. Null where it was not counted.",
        0,
        younger=True,
    )
    reflection_calls: int = column("calls", "Rewrites asked of the reflection LM.", 0)
    reflection_tokens: int = column("tokens", "Tokens the reflection LM read and wrote.", 0)
    reflection_failures: int = column("rewrites", "Rewrites skipped: no usable text.", 0)
    reflection_repeats: int = column("rewrites", "Rewrites equal to a prompt at hand.", 0)
    optimizer_steps: int = column("updates", "Updates of the parameters.", 0)
    seconds: float = column("seconds", "Wall time of the channel.", 0.0)
