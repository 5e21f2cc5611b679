"""The rules of a domain's verifier: what it must reward, and what it must survive."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from math import isfinite
from numbers import Real
from pathlib import Path
from typing import Any

from cl_bench.contract.task import FEEDBACK_LEVELS, Domain, Problem, Task, Verdict
from cl_bench.tools.checks.fault import describe, shortened
from cl_bench.tools.checks.hostile import TooSlow, after_the_gold, hostile_texts, time_limit

SECONDS = 1.0
"""Longest time for one verdict."""


class _Trouble(str):
    """Why there is no verdict."""

    __slots__ = ()


def gold(domain: Domain, setting: str, problems: Sequence[Problem]) -> Iterator[str]:
    """The solution that comes with a problem scores 1, whatever feedback is given."""
    for level in FEEDBACK_LEVELS:
        task = domain.task(seed=0, setting=setting, feedback=level)
        for problem in problems:
            verdict: Any = task.verify(problem, problem.solution)
            score = getattr(verdict, "score", verdict)
            if score != 1:
                yield (
                    f"The solution {shortened(problem.solution)} of {problem.uid!r} scores "
                    f"{score!r} with feedback {level!r}; a problem's own solution has to score 1."
                )


def well_formed(domain: Domain, setting: str, problems: Sequence[Problem]) -> Iterator[str]:
    """Whatever the response: a `Verdict` of the right types, and the same one again."""
    for level in FEEDBACK_LEVELS:
        task = domain.task(seed=0, setting=setting, feedback=level)
        for problem in problems:
            for label, text in (("the solution", problem.solution), *_responses(problem)):
                verdict = _verdict(task, problem, label, text)
                yield from _malformed(verdict, label)
                if not isinstance(verdict, _Trouble) and task.verify(problem, text) != verdict:
                    yield f"Two verdicts on {label} differ; verify must not draw or remember."


def hostile(domain: Domain, setting: str, problems: Sequence[Problem]) -> Iterator[str]:
    """Hostile texts score 0, and are neither run, nor raise, nor take long."""
    with tempfile.TemporaryDirectory() as folder:
        marker = Path(folder) / "executed"
        answers = {problem.answer for problem in problems}
        for level in FEEDBACK_LEVELS:
            task = domain.task(seed=0, setting=setting, feedback=level)
            for problem in problems:
                for label, text in hostile_texts(problem, marker, answers):
                    verdict = _verdict(task, problem, label, text)
                    if marker.exists():
                        yield (
                            f"The verifier ran a response ({label}): a model's text must never be "
                            "evaluated. Read it with a parser of literals."
                        )
                        return
                    if isinstance(verdict, _Trouble):
                        yield verdict
                    elif getattr(verdict, "score", 0) != 0:
                        yield (
                            f"As a response to {problem.uid!r}, {label} scores {verdict.score!r}; "
                            "what is not the answer has to score 0."
                        )


def _responses(problem: Problem) -> Iterator[tuple[str, str]]:
    yield "an empty response", ""
    yield "a wrong response", "I do not know ; answer none"
    yield from after_the_gold(problem)


def _verdict(task: Task, problem: Problem, label: str, text: str) -> Any:
    """The verdict, or a `_Trouble`."""
    try:
        with time_limit(SECONDS):
            return task.verify(problem, text)
    except TooSlow:
        return _Trouble(
            f"The verdict on {label} takes longer than {SECONDS:g} s. Cut a response to a length "
            "that can be read, and avoid patterns that backtrack."
        )
    except Exception as error:  # noqa: BLE001 - foreign code
        return _Trouble(
            f"On {label}, {describe(error)}; verify must never raise. Give score 0 and say what "
            "was wrong."
        )


def _malformed(verdict: Any, label: str) -> Iterator[str]:
    if isinstance(verdict, _Trouble):
        yield verdict
        return
    if not isinstance(verdict, Verdict):
        yield f"verify gave a {type(verdict).__name__} on {label}; it has to give a Verdict."
        return
    score: Any = verdict.score
    feedback: Any = verdict.feedback
    answer: Any = verdict.answer
    if not _is_share(score):
        yield f"The score of {label} is {score!r}; it has to be a number from 0 to 1."
    if not isinstance(feedback, str):
        yield f"The feedback on {label} is {feedback!r}; it has to be a text."
    if not isinstance(answer, str | None):
        yield f"The answer read out of {label} is {answer!r}; give a text or None."


def _is_share(score: Any) -> bool:
    number = isinstance(score, Real) and not isinstance(score, bool)
    return number and isfinite(float(score)) and 0 <= float(score) <= 1
