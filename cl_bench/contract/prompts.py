"""The texts every learner shares: seed prompt, instructions made of rules, reflection request.

They are in the embedded model's vocabulary. The seed prompts of other models stand in their presets
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
    """Return the seed prompt followed by `rules`, each ended by a semicolon."""
    return " ".join([seed_prompt, *(f"{rule} ;" for rule in rules)])


def chat(system: str, user: str) -> list[Message]:
    """Return one problem as messages; an empty system prompt is left out."""
    head = [{"role": "system", "content": system}] if system else []
    return [*head, {"role": "user", "content": user}]


def in_turn(prompts: Sequence[str], rollouts: range, *, run: int = 1) -> list[str]:
    """Return a system prompt for each rollout number, in turn; `run` in a row share one."""
    return [prompts[number // run % len(prompts)] for number in rollouts]


def reflection(current: str, feedback: Sequence[str]) -> list[Message]:
    """Return the request for better instructions, given the current ones and feedback."""
    said = " ".join(f"feedback : {line}" for line in feedback)
    return chat(REFLECTION_PROMPT, f"instructions : {current} {said}")
