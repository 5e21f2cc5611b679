"""A reflection LM outside the run: a limited number of attempts at each call, and its record."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from math import inf
from threading import TIMEOUT_MAX, Thread
from typing import Protocol

from cl_bench.contract.errors import ReflectionError
from cl_bench.contract.journal import Call, RecordedCall, Style
from cl_bench.contract.learner import Ledger
from cl_bench.contract.prompts import Message
from cl_bench.contract.redaction import redacted, short_line
from cl_bench.fast.reflection.reflector import (
    JudgedRollout,
    Reflection,
    read_reply,
    request_messages,
)
from cl_bench.fast.reflection.spec import ReflectionLM
from cl_bench.fast.settings import FastConfig
from cl_bench.model import ranks

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0
"""Seconds between attempts, doubled from the first to the longest, unless the endpoint asks for
another pause."""
_LONGEST_WAIT = 120.0
"""Seconds; an endpoint that asks for a longer wait has failed for good."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One reply, and the tokens read and written for it."""

    text: str
    tokens: int
    cut: bool = False
    """Whether it was cut off: by its limit, or by a filter of the endpoint."""


class AttemptError(Exception):
    """An attempt failed.

    `again` tells whether another attempt may help; `wait` is how many seconds the endpoint asks to
    wait (None if it does not say). `reason` is a phrase that repeats from call to call; `detail` is
    special to this failure.
    """

    def __init__(
        self, reason: str, detail: str = "", *, again: bool = True, wait: float | None = None
    ) -> None:
        super().__init__(reason)
        self.reason, self.detail, self.again, self.wait = reason, detail, again, wait


class Endpoint(Protocol):
    """A model that answers messages."""

    @property
    def style(self) -> Style:
        """The style in which it has to be asked."""
        ...

    def ask(
        self, messages: Sequence[Message], current: str, *, number: int, attempt: int
    ) -> Answer:
        """Make one attempt and return the reply; raise `AttemptError` if it fails.

        `current` are the instructions to be rewritten, from which the length of a reply follows;
        the `number` of the call and the `attempt`, both from 1, are for seeds.
        """
        ...


class OutsideReflector:
    """Asks an endpoint and keeps the run's record; without one, the record answers every call."""

    def __init__(
        self,
        endpoint: Endpoint | None,
        lm: ReflectionLM,
        style: Style,
        config: FastConfig,
        ledger: Ledger,
    ) -> None:
        self._endpoint, self._model, self._style = endpoint, lm.label, style
        self._attempts, self._ledger = config.reflection_retries + 1, ledger
        self._deadline = config.reflection_timeout if lm.kind != "local" else inf

    def __call__(self, current: str, rollouts: Sequence[JudgedRollout]) -> Reflection:
        messages = request_messages(self._style, current, rollouts)
        number = self._ledger.fast.reflection_calls
        call = Call(number, self._model, self._style, messages)
        entry = ranks.alone(lambda: self._entry(call, current))
        if entry.outcome == "failed":
            raise ReflectionError(entry.reason, entry.detail, tokens=entry.tokens)
        text, fault = read_reply(self._style, entry.text)
        return Reflection(text, entry.tokens, fault)

    def _entry(self, call: Call, current: str) -> RecordedCall:
        """Return what was recorded of a call, or make and record it."""
        journal = self._ledger.journal
        entry = journal.recall(call) if journal else None
        if entry is None:
            entry = self._make(call, current)
            if journal:
                journal.append(entry)
        return entry

    def _make(self, call: Call, current: str) -> RecordedCall:
        """Attempt the call until a usable text comes, or no attempt can help or is left."""
        started = time.perf_counter()
        text, tokens, attempt = "", 0, 0
        while True:
            attempt += 1
            failure, answer = self._attempt(call, current, attempt)
            if answer is not None:
                text, tokens = answer.text, tokens + answer.tokens
            if failure is None or not failure.again or attempt == self._attempts:
                break
            time.sleep(_pause(failure, attempt))
        return RecordedCall(
            call=call.number,
            request=call.request,
            model=call.model,
            style=call.style,
            messages=call.messages,
            text=text,
            tokens=tokens,
            attempts=attempt,
            seconds=time.perf_counter() - started,
            outcome="failed" if failure else "answered",
            reason=short_line(failure.reason) if failure else "",
            detail=short_line(failure.detail) if failure else "",
        )

    def _attempt(
        self, call: Call, current: str, attempt: int
    ) -> tuple[AttemptError | None, Answer | None]:
        """Make one attempt; return its failure or None, and its answer or None.

        Both are there if the answer is unusable: it cost tokens.
        """
        if self._endpoint is None:
            raise AssertionError("a replayed run makes no calls")
        endpoint, number = self._endpoint, call.number

        def ask() -> Answer:
            return endpoint.ask(call.messages, current, number=number, attempt=attempt)

        try:
            answer = _within(self._deadline, ask)
        except AttemptError as failure:
            return failure, None
        # Half a surrogate pair is valid JSON, but tables and tokenizers refuse it.
        text = redacted(answer.text).encode("utf-8", "replace").decode("utf-8")
        _, fault = read_reply(self._style, text, cut=answer.cut)
        return (AttemptError(fault) if fault else None), Answer(text, answer.tokens)


def _within(seconds: float, ask: Callable[[], Answer]) -> Answer:
    """Return or raise what `ask` does; raise `AttemptError` if it takes longer than `seconds`.

    A client's own timeout only limits silence: an endpoint that sends a byte now and then would
    never meet it. A call that took too long goes on in a thread that does not keep the process
    alive.
    """
    if seconds == inf:
        return ask()
    future: Future[Answer] = Future()

    def work() -> None:
        try:
            future.set_result(ask())
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            future.set_exception(error)

    Thread(target=work, daemon=True).start()
    try:
        return future.result(timeout=min(seconds, TIMEOUT_MAX))
    except TimeoutError:
        raise AttemptError(f"no answer within {seconds:g} s") from None


def _pause(failure: AttemptError, attempt: int) -> float:
    if failure.wait is not None:
        return failure.wait
    return float(min(FIRST_PAUSE * 2 ** (attempt - 1), LONGEST_PAUSE))


def patience(wait: float | None) -> tuple[bool, float | None]:
    """Return whether to try again if an endpoint asks for `wait` seconds, and how long to wait."""
    if wait is None:
        return True, None
    return wait <= _LONGEST_WAIT, max(0.0, wait)
