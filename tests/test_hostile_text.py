"""Hostile text, at least 10,000 of them: scored 0 or 1, never executed, printed harmlessly.

Whatever reads a model's text is here: the verifiers of all domains, the parser of reflections, the
feedback lines, the tables and what is printed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from cl_bench.contract.registry import DOMAINS
from cl_bench.contract.stream import Stage, Stream
from cl_bench.contract.task import FEEDBACK_LEVELS, Problem, Task, Verdict
from cl_bench.contract.text import printable
from cl_bench.execution.progress import Lines
from cl_bench.fast.reflection.reflector import JudgedRollout, feedback_lines, fenced
from cl_bench.store.rows import to_arrow

NAMES = list(DOMAINS)
EXAMPLES = 1_000
"""Texts in one test of a domain: five domains and two tests make 10,000."""
MEGABYTE = 1_000_000
SECONDS = 2.0
"""For a text of a megabyte; it takes a few milliseconds, a quadratic reader would take hours."""
HARMFUL = (
    "\x1b[31m", "\x1b[2J\x1b[H", "\x1b]0;title\x07", "\x1b]52;c;cm0gLXJm\x07", "\x9b31m",
    "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\", "\x1bP1;2q\x1b\\", "\x1b[6n",
    "\r", "\b", "\x00", "\x7f", "\x85", "\u2028", "\u202e", "\u2066", "\u2069", "\ufeff",
    "\u200b", "\ud800", "\udfff", "\ud83d", "\U000e0041", "\ufffe", "A\u0300" * 50, "\uff18",
    "\u0668", "\u00b2", "__import__('os').system('touch canary')", "__import__('os').abort()",
    "exec('raise SystemExit')", "{}", "{0.__class__.__mro__}", "{current}", "%s%s%n",
    "%(answer)s", "${IFS}", "`id`", "$(id)", "{{ cycler.__init__.__globals__ }}",
    "{% for x in y %}", "<|end|>", "<|system|>", "```", "~~~", "'; DROP TABLE items; --",
    "../../etc/passwd", "nan", "inf", "1e999", "-0", "0x8", "1_0", "(" * 500, "[" * 500,
    '{"a":' * 200, "answer", "answer ", " ; ", ";", " : ", ":", "->", "\\", '"',
)  # fmt: skip

CHARACTERS = st.characters(exclude_categories=())
HOSTILE = st.lists(
    st.one_of(st.sampled_from(HARMFUL), st.text(CHARACTERS, max_size=20)), max_size=8
).map("".join)
MANY = settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))


FORBIDDEN = ("compile", "exec", "open", "os.", "pty.", "shutil.", "socket.", "subprocess.")
"""Audit events (PEP 578) that reading a text has no business to cause, by their beginnings."""


class Executed(BaseException):
    """Raised by the canary; no `except Exception` can hide it."""


class Canary:
    """Inside, whatever runs code or reaches out of the process raises `Executed`."""

    watching = False

    def __init__(self) -> None:
        sys.addaudithook(self._hear)  # for the life of the process, hence silent outside

    def _hear(self, event: str, _: object) -> None:
        if self.watching and event.startswith(FORBIDDEN):
            self.watching = False
            raise Executed(event)

    @contextmanager
    def __call__(self) -> Iterator[None]:
        self.watching = True
        try:
            yield
        finally:
            self.watching = False


canary = Canary()


def tasks(name: str) -> list[tuple[Task, Problem]]:
    domain = DOMAINS.load(name)
    pairs = []
    for level in FEEDBACK_LEVELS:
        task = domain.task(seed=3, setting="default", feedback=level)
        pairs += [(task, problem) for problem in task.problems("test", 3)]
    return pairs


TASKS = {name: tasks(name) for name in NAMES}


def judged(name: str, place: int, text: str) -> Verdict:
    """The verdict on `text`, after everything that must hold of any verdict was checked."""
    task, problem = TASKS[name][place % len(TASKS[name])]
    with canary():
        verdict = task.verify(problem, text)
    assert verdict.score in (0.0, 1.0)
    assert type(verdict.score) is float
    assert (verdict.score == 1.0) == (verdict.answer == problem.answer)
    assert verdict == task.verify(problem, text)
    printable(verdict.feedback).encode()
    return verdict


@pytest.mark.parametrize("name", NAMES)
def test_hostile_text_scores_zero(name: str) -> None:
    @MANY
    @given(HOSTILE, st.integers(0, 8))
    def check(text: str, place: int) -> None:
        assert judged(name, place, text).score == 0.0

    check()


@pytest.mark.parametrize("name", NAMES)
def test_a_mutated_solution_scores_one_only_if_its_last_step_is_still_the_answer(
    name: str,
) -> None:
    @MANY
    @given(HOSTILE, st.integers(0, 8), st.integers(0, 300), st.integers(0, 3))
    def check(text: str, place: int, at: int, cut: int) -> None:
        problem = TASKS[name][place % len(TASKS[name])][1]
        gold = problem.solution
        mutated = gold[:at] + text + gold[at + cut :]
        verdict = judged(name, place, mutated)
        if verdict.score:
            last = mutated.strip(" \t\r\n;.").split(";")[-1]
            assert last.split() == ["answer", *problem.answer.split()]

    check()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "grow",
    [
        lambda gold: "a" * MEGABYTE,
        lambda gold: " " * MEGABYTE + gold,
        lambda gold: ";" * MEGABYTE,
        lambda gold: "answer " * (MEGABYTE // 7),
        lambda gold: (gold + " ; ") * (MEGABYTE // len(gold)),
        lambda gold: " : " * (MEGABYTE // 3),
        lambda gold: "\n\t " * (MEGABYTE // 3) + "x",
        lambda gold: "(" * MEGABYTE,
        lambda gold: "```" * (MEGABYTE // 3),
        lambda gold: "\x1b[31m\ud800" * (MEGABYTE // 6),
    ],
)
def test_megabytes_score_zero_in_no_time(name: str, grow: Callable[[str], str]) -> None:
    task, problem = TASKS[name][-1]
    text = grow(problem.solution)
    started = time.perf_counter()
    assert task.verify(problem, text).score == 0.0
    fenced(text)
    printable(text, 200)
    assert time.perf_counter() - started < SECONDS


@MANY
@given(HOSTILE, st.sampled_from(["", "```", "```\n", "```text\n"]), HOSTILE)
def test_a_reflection_is_read_out_of_any_reply(before: str, fence: str, inside: str) -> None:
    reply = before + fence + inside + fence
    with canary():
        text = fenced(reply)
    assert text in reply
    assert text == text.strip()


@MANY
@given(HOSTILE, HOSTILE, st.sampled_from([0.0, 1.0]))
def test_feedback_lines_carry_any_text_without_formatting_it(
    prompt: str, feedback: str, score: float
) -> None:
    rollout = JudgedRollout(prompt, "{0}", Verdict(score, feedback, None))
    with canary():
        lines = feedback_lines([rollout, rollout])
    assert lines == [feedback]


@settings(MANY, max_examples=300)
@given(st.lists(st.one_of(st.none(), HOSTILE), max_size=4))
def test_any_answer_goes_into_the_tables_and_comes_back(answers: list[str | None]) -> None:
    label = {"step": 0, "domain": "math", "prompt": "seed", "uid": "u", "score": 0.0}
    label |= {"test_set": "stream", "setting": "default", "weights": "trained"}
    label |= {"formatted": None, "truncated": 0, "thought_tokens": 0}
    rows = [
        label | {"sample": i, "answer": answer, "completion_tokens": 1}
        for i, answer in enumerate(answers)
    ]
    stored = to_arrow("items", rows)["answer"].to_pylist()
    for answer, kept in zip(answers, stored, strict=True):
        assert (kept is None) == (answer is None)
        assert kept == answer or "\ufffd" in kept or len(kept) < len(str(answer))


@settings(MANY, max_examples=300)
@given(HOSTILE, HOSTILE, HOSTILE)
def test_any_transcript_goes_into_the_tables_and_comes_back(
    prompt: str, response: str, feedback: str
) -> None:
    label = {"step": 0, "stage": 0, "at": "start", "domain": "math", "test_set": "stream"}
    label |= {"setting": "default", "prompt": "learner", "weights": "trained", "uid": "u"}
    texts = {"system_prompt": prompt, "response": response, "feedback": feedback}
    scored = {"sample": 0, "problem": "p", "score": 0.0, "answer": None, "reference": None}
    (stored,) = to_arrow("transcripts", [label | texts | scored]).to_pylist()
    for name, given_text in texts.items():
        kept = stored[name]
        assert kept == given_text or "\ufffd" in kept or len(kept) < len(given_text)


@settings(MANY, max_examples=300)
@given(HOSTILE)
def test_names_print_harmlessly_in_the_progress_lines(text: str) -> None:
    screen = StringIO()
    lines = Lines(Console(file=screen, force_terminal=True, color_system=None))
    lines.start(Stream(text, (Stage(text, 1),)), text, 0)
    shown = screen.getvalue().removesuffix("\n")
    shown.encode()
    assert not set(shown) & {"\x1b", "\x9b", "\x00", "\r", "\n", "\x07", "\b", "\u202e", "\ud800"}


@pytest.mark.parametrize(
    "run",
    [
        lambda: eval("1"),
        lambda: os.system("true"),
        lambda: subprocess.run(["true"], check=True),
        lambda: list(Path().iterdir()),
    ],
)
def test_the_canary_notices(run: Callable[[], object]) -> None:
    with pytest.raises(Executed), canary():
        run()
