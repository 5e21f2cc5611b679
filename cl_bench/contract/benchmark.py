"""Benchmarks: test sets that ask a model in a way of their own and score it themselves.

A domain's task gives problems, each a chat with one response. A benchmark of another suite also
compares the probabilities of texts, writes part of the response itself, or shows examples. So it is
given a model to ask, and returns its items' scores. Streams evaluate benchmarks and never train on
them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

BENCHMARK_MARK = ":"
"""In the name of a benchmark, after the name of its suite: `lm_eval:ifeval`."""


def is_benchmark(domain: str) -> bool:
    """Tell whether a table's domain is a benchmark, even where its suite is not installed."""
    return BENCHMARK_MARK in domain.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Reply:
    """A response to a text."""

    text: str
    """What follows the thought, if there is one."""
    tokens: int
    truncated: bool
    """Whether it was cut off at the length limit."""


class TextModel(Protocol):
    """A model that is asked with whole texts, in its own format of chats or in none."""

    def templated(self, chat: Sequence[Mapping[str, str]], *, begun: bool = False) -> str:
        """Return a chat as the text that the model reads, up to where the assistant begins.

        With `begun` the last message is the assistant's beginning, which is to be continued.
        """
        ...

    def respond(
        self, texts: Sequence[str], *, max_new_tokens: int, temperature: float
    ) -> list[Reply]:
        """Return a response to each text; temperature 0 is greedy.

        Raises `UsageError` if one does not fit into the context.
        """
        ...

    def log_likelihoods(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, bool]]:
        """Return, for each text and its continuation, the continuation's log-probability in nats,
        and whether greedy decoding would give it.

        Raises `UsageError` if a pair does not fit into the context.
        """
        ...


@dataclass(frozen=True, slots=True)
class BenchmarkItem:
    """One item of a benchmark, scored."""

    uid: str
    score: float
    """From 0 to 1."""
    answer: str | None
    """The response as it was scored, or the choice of highest probability."""
    reply: Reply | None
    """None where the model compared texts and wrote none."""


@runtime_checkable
class Benchmark(Protocol):
    """A test set that scores a model itself; the registry holds it as a domain without tasks."""

    name: str
    version: str
    """Changes whenever scores stop being comparable."""
    temperature: float
    """That of its responses; 0 is greedy."""

    def measure(self, model: TextModel, count: int) -> list[BenchmarkItem]:
        """Return the first `count` items, fewer if there are no more, always in the same order.

        Global random generators may be used. Raises `UsageError` for what cannot be measured.
        """
        ...
