"""A fast channel on a policy that follows a script: exercises, reflections, populations."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from cl_bench.contract.learner import Exercise, Ledger
from cl_bench.contract.records import PromptRecord
from cl_bench.contract.task import Verdict
from cl_bench.fast.fast_weights import FastWeights
from cl_bench.fast.reflection.reflector import JudgedRollout, Reflection, Reflector
from cl_bench.fast.settings import FastConfig
from cl_bench.model.policy import Chat, Policy, Rollout

SEED = "think ."


PROMPT_TOKENS, COMPLETION_TOKENS, REFLECTION_TOKENS = 3, 2, 10


CONFIG = FastConfig(
    population=4, proposals=3, reflection_batch=2, round_exercises=4, seed_prompt=SEED
)


@dataclass
class ScriptedPolicy:
    """Solves `need x` if the system prompt has the word x and the weights still know it."""

    forgotten: set[str] = field(default_factory=set)
    luck: float = 0.0
    room: int = 1_000_000
    rng: random.Random = field(default_factory=lambda: random.Random(0))
    calls: list[list[str]] = field(default_factory=list)

    def generate(
        self,
        chats: Sequence[Chat],
        *,
        max_new_tokens: int,
        temperature: float = 1.0,
        from_base: bool = False,
    ) -> list[Rollout]:
        assert (max_new_tokens, temperature, from_base) == (96, 1.0, False)
        self.calls.append([chat[0]["content"] for chat in chats])
        return [self._respond(*(message["content"] for message in chat)) for chat in chats]

    def fits(self, chat: Chat, max_new_tokens: int, share: float = 1.0) -> bool:
        words = sum(len(message["content"].split()) for message in chat)
        return words + max_new_tokens <= share * self.room

    def _respond(self, system: str, user: str) -> Rollout:
        words = set(system.split()) - self.forgotten
        right = user.removeprefix("need ") in words or self.rng.random() < self.luck
        return Rollout((0,) * PROMPT_TOKENS, (0,) * COMPLETION_TOKENS, str(right), False)

    @property
    def seen(self) -> set[str]:
        return {system for call in self.calls for system in call}


def exercise(word: str) -> Exercise:
    def judge(response: str) -> Verdict:
        right = response == "True"
        return Verdict(float(right), "right" if right else f"learn {word}", response)

    return Exercise(word, f"need {word}", judge)


def exercises(words: str) -> list[Exercise]:
    return [exercise(word) for word in words]


def learn(current: str, rollouts: Sequence[JudgedRollout]) -> Reflection:
    """Appends the word that the first failing rollout lacked."""
    lacking = [r.verdict.feedback.split()[-1] for r in rollouts if r.verdict.score < 1]
    return Reflection(f"{current} {lacking[0]}", REFLECTION_TOKENS)


def says(*texts: str | Exception) -> Reflector:
    """A reflector that gives `texts` in turn (raising the errors), then repeats what it got."""
    left = list(texts)

    def reflect(current: str, _: Sequence[JudgedRollout]) -> Reflection:
        text = left.pop(0) if left else current
        if isinstance(text, Exception):
            raise text
        return Reflection(text, REFLECTION_TOKENS)

    return reflect


def fast(
    policy: ScriptedPolicy | None = None,
    reflector: Reflector = learn,
    config: FastConfig = CONFIG,
    *,
    ledger: Ledger | None = None,
    wave: int = 1,
) -> FastWeights:
    return FastWeights(
        cast(Policy, policy or ScriptedPolicy()),
        config,
        ledger or Ledger(),
        reflector=reflector,
        wave=wave,
    )


def by_text(records: Sequence[PromptRecord]) -> dict[str, PromptRecord]:
    return {record.text: record for record in records}
