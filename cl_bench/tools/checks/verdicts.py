"""The rules of a domain's verifier: what it must reward, and what it must survive."""

from __future__ import annotations

import re
import signal
import tempfile
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from math import isfinite
from numbers import Real
from pathlib import Path
from types import FrameType
from typing import Any
from unicodedata import name as name_of

from cl_bench.contract.task import FEEDBACK_LEVELS, Domain, FeedbackLevel, Problem, Task, Verdict
from cl_bench.tools.checks.fault import describe, shortened

SECONDS = 1.0
"""Longest time for one verdict."""
MEGABYTE = 1_000_000

Drawn = Iterable[tuple[str, Sequence[Problem]]]
"""Settings, each with problems of it."""


class TooSlow(BaseException):
    """Out of time. Not an `Exception`, so that a verifier which catches those does not swallow
    it."""


class _Trouble(str):
    """The reason why a verdict is missing."""

    __slots__ = ()


def gold(domain: Domain, drawn: Drawn) -> Iterator[str]:
    """The solution that comes with a problem scores 1, whatever feedback is given."""
    for task, level, problems in _tasks(domain, drawn):
        for problem in problems:
            verdict: Any = task.verify(problem, problem.solution)
            score = getattr(verdict, "score", verdict)
            if score != 1:
                yield (
                    f"The solution {shortened(problem.solution)} of {problem.uid!r} scores "
                    f"{score!r} with feedback {level!r}; a problem's own solution has to score 1."
                )


def well_formed(domain: Domain, drawn: Drawn) -> Iterator[str]:
    """Whatever the response: a `Verdict` of the right types, and the same one again."""
    for task, _, problems in _tasks(domain, drawn):
        for problem in problems:
            for label, text in _responses(problem):
                verdict = _verdict(task, problem, label, text)
                yield from _malformed(verdict, label)
                if not isinstance(verdict, _Trouble) and task.verify(problem, text) != verdict:
                    yield f"Two verdicts on {label} differ; verify must not draw or remember."


def hostile(domain: Domain, drawn: Drawn) -> Iterator[str]:
    """Hostile texts score 0, and are neither run, nor raise, nor take long."""
    with tempfile.TemporaryDirectory() as folder:
        marker = Path(folder) / "executed"
        for task, _, problems in _tasks(domain, drawn):
            answers = {problem.answer for problem in problems}
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


def _tasks(domain: Domain, drawn: Drawn) -> Iterator[tuple[Task, FeedbackLevel, Sequence[Problem]]]:
    """The problems again and again, with the task of each feedback level."""
    for setting, problems in drawn:
        for level in FEEDBACK_LEVELS:
            yield domain.task(seed=0, setting=setting, feedback=level), level, problems


def _responses(problem: Problem) -> Iterator[tuple[str, str]]:
    """Responses of all kinds. Those with a right solution may be scored in any way."""
    yield "the solution", problem.solution
    yield "an empty response", ""
    yield "a wrong response", "I do not know ; answer none"
    for label, junk in (
        ("a letter", "x"),
        ("a second answer", f" ; {problem.prompt}"),
        ("an escape", "\x1b[31m\x00"),
        ("a megabyte", "x " * (MEGABYTE // 2)),
    ):
        yield f"the solution followed by {label}", problem.solution + junk


def hostile_texts(
    problem: Problem, marker: Path, answers: Collection[str] = ()
) -> Iterator[tuple[str, str]]:
    """Each text after a label of it. Those with code make the file `marker` if they are run.

    `answers` are those of other problems, among which the right one is hidden.
    """
    # Digits by their names, lest a number of the path be the right answer.
    place = re.sub("[0-9]", lambda digit: rf"\N{{{name_of(digit[0])}}}", repr(str(marker)))
    code = f"__import__('pathlib').Path({place}).touch()"
    texts = [
        ("an empty response", ""),
        ("white space", " \t\r\n\u2028"),
        ("control characters", "\x00\x07\x08\x7f\x9b"),
        ("terminal escapes", "\x1b]0;title\x07\x1b[2J\x1b[31m"),
        ("a lone surrogate", "\ud800"),
        ("a format string", "{0.__class__} %s %(name)s ${name}"),
        ("no number", "nan"),
        ("an infinite number", "1e999"),
        ("code", code),
        ("code as an answer", f"answer {code}"),
        ("code in place of the answer", problem.solution.replace(problem.answer, code)),
        ("a costly power", "9**9**9**9"),
        ("a hundred thousand brackets", "(" * 100_000),
        ("a megabyte of one letter", "a" * MEGABYTE),
        ("a megabyte of spaces", " " * MEGABYTE + "x"),
        ("a megabyte of digits", "9" * MEGABYTE),
        ("a megabyte of 'answer'", "answer " * (MEGABYTE // 7)),
        ("the prompt itself", problem.prompt),
        ("the prompt, twice", f"{problem.prompt}\n{problem.prompt}"),
    ]
    others = sorted(set(answers) - {problem.answer})
    if others:
        guesses = [*others, problem.answer, *reversed(others)]
        texts.append(("every answer at once", " ; ".join(f"answer {guess}" for guess in guesses)))
    right = {problem.answer.strip(), problem.solution.strip()}
    return ((label, text) for label, text in texts if text.strip() not in right or not text)


def _verdict(task: Task, problem: Problem, label: str, text: str) -> Any:
    """The verdict, or a `_Trouble`."""
    try:
        with _time_limit(SECONDS):
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


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise `TooSlow` when the body takes longer; at once where the platform can interrupt it."""
    alarmed = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    started = time.perf_counter()
    if alarmed:
        handler = signal.signal(signal.SIGALRM, _out_of_time)
        timer = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        if alarmed:
            signal.setitimer(signal.ITIMER_REAL, *timer)
            signal.signal(signal.SIGALRM, handler)
    if time.perf_counter() - started > seconds:
        raise TooSlow


def _out_of_time(_signal: int, _frame: FrameType | None) -> None:
    raise TooSlow
