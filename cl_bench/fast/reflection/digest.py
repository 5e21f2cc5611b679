"""Reflection without a model, for real tasks: advice on the mistakes that the feedback names.

GEPA's reflection LM (arXiv 2507.19457, section 3.2) has to read and write well, which a small model
cannot. This reflector counts the kinds of mistake in the rollouts (`Verdict.fault`, and answers
without a form) and adds one sentence of advice on the most frequent kind to the instructions. It
knows no task: the sentences are about form, length or care, never an answer or a rule. So, unlike
`oracle`, which copies hidden rules, it can be used where results count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from cl_bench.contract.errors import ReflectionError
from cl_bench.fast.reflection.reflector import JudgedRollout, Reflection

_FORM = "form"
WORKED = "Work it out step by step before you answer."
ADVICE: Mapping[str, tuple[str, ...]] = {
    "cut off": (
        "Be brief.",
        "Do not explain; write only the answer.",
        "Write the answer in the first sentence and stop.",
    ),
    "no answer": (
        "Always give an answer, even if you are not sure.",
        "The answer is a single value; write it down.",
    ),
    "two answers": ("Give one answer only.",),
    _FORM: (
        'Write "answer:" and then the answer.',
        "Write nothing after the answer.",
    ),
    "sign": ("Mind the sign: the answer can be negative.",),
    "rounding": ("Give the exact value; do not round.",),
    "extra words": ("Write the answer alone, without other words.",),
    "wrong": (
        WORKED,
        "Read the problem carefully.",
        "Check the result before you answer.",
    ),
}
"""The advice for each kind of mistake; the first sentence that the instructions lack is added."""


class DigestReflector:
    """Adds a sentence to the instructions; spends no tokens.

    Raises `ReflectionError` if the instructions hold or contradict all advice on the mistakes made,
    and if the feedback names no kind of mistake (levels none and answer, domains with hidden
    rules).
    """

    def __call__(self, current: str, rollouts: Sequence[JudgedRollout]) -> Reflection:
        counted = Counter(kind for rollout in rollouts for kind in _kinds(rollout))
        if not counted:
            raise ReflectionError("the feedback names no kind of mistake")
        for kind, _ in sorted(counted.items(), key=lambda item: -item[1]):
            for sentence in ADVICE[kind]:
                if sentence not in current and not _contradicts(sentence, current):
                    return Reflection(f"{current.rstrip()} {sentence}", 0)
        raise ReflectionError("the instructions leave no advice to add on these mistakes")


def _contradicts(sentence: str, current: str) -> bool:
    """Tell whether one asks for work in steps, and the other for brevity."""
    if sentence == WORKED:
        return any(brief in current for brief in ADVICE["cut off"])
    return sentence in ADVICE["cut off"] and WORKED in current


def _kinds(rollout: JudgedRollout) -> list[str]:
    """Return the kinds of mistake of one rollout."""
    verdict = rollout.verdict
    if not verdict.fault:
        return []
    unformed = verdict.formatted is False and verdict.fault != "cut off"
    return [verdict.fault, *([_FORM] if unformed else [])]
