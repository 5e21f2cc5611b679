"""The texts every learner shares: seed prompt, instructions made of rules, reflection request.

They are in the embedded model's vocabulary. What another model's seed prompt is, its preset says
(`cl_bench.execution.presets`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

SEED_PROMPT = "solve step by step ."
"""The task-agnostic system prompt that every learner of the embedded model starts from."""

REFLECTION_PROMPT = "improve the instructions ."
"""The system prompt under which a model rewrites instructions."""

Message = dict[str, str]


def instructions(rules: Iterable[str], seed_prompt: str = SEED_PROMPT) -> str:
    """The seed prompt followed by `rules`, each ended by a semicolon."""
    return " ".join([seed_prompt, *(f"{rule} ;" for rule in rules)])


def chat(system: str, user: str) -> list[Message]:
    """One problem as messages; an empty system prompt is left out."""
    head = [{"role": "system", "content": system}] if system else []
    return [*head, {"role": "user", "content": user}]


def in_turn(prompts: Sequence[str], rollouts: range, *, run: int = 1) -> list[str]:
    """The system prompt of each rollout of those numbers: `run` in a row read the same one."""
    return [prompts[number // run % len(prompts)] for number in rollouts]


def reflection(current: str, feedback: Sequence[str]) -> list[Message]:
    """Ask for better instructions, given the current ones and what verifiers said of rollouts."""
    said = " ".join(f"feedback : {line}" for line in feedback)
    return chat(REFLECTION_PROMPT, f"instructions : {current} {said}")
