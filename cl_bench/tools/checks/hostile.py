"""Texts that no verifier may reward, run, choke on or take seconds over."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from cl_bench.contract.task import Problem

MEGABYTE = 1_000_000


class TooSlow(BaseException):
    """Out of time. No `Exception`, so that a verifier which catches those does not swallow it."""


def hostile_texts(
    problem: Problem, marker: Path, answers: Collection[str] = ()
) -> Iterator[tuple[str, str]]:
    """What each text is, and the text. Those with code make the file `marker` if they are run.

    `answers` are those of other problems, among which the right one is hidden.
    """
    code = f"__import__('pathlib').Path({str(marker)!r}).touch()"
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


def after_the_gold(problem: Problem) -> Iterator[tuple[str, str]]:
    """Junk after a right solution: a domain may score it as it likes, within the rules."""
    for label, junk in (
        ("a letter", "x"),
        ("a second answer", f" ; {problem.prompt}"),
        ("an escape", "\x1b[31m\x00"),
        ("a megabyte", "x " * (MEGABYTE // 2)),
    ):
        yield f"the solution followed by {label}", problem.solution + junk


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
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
