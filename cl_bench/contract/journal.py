"""Calls to a reflection LM outside a run, and the journal that records and recalls them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from cl_bench.contract.prompts import Message
from cl_bench.contract.text import config_hash

Style = Literal["rules", "transcript", "brief"]
"""The styles in which a reflection LM is asked and its reply is read."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a reflection LM."""

    number: int
    """The place of this call among the run's reflections, from 1, by the ledger."""
    model: str
    """Kind and name of the reflection LM."""
    style: Style
    messages: list[Message]

    @property
    def request(self) -> str:
        """SHA-256 (hex) of the model and the messages."""
        return config_hash({"model": self.model, "messages": self.messages})


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A call with its outcome and its cost: one line of the record."""

    call: int
    request: str
    model: str
    style: Style
    messages: list[Message]
    text: str
    """The last attempt's reply; empty if there was none."""
    tokens: int
    """Read and written, over all attempts."""
    attempts: int
    seconds: float
    """Wall time, pauses between attempts included."""
    outcome: Literal["answered", "failed"]
    reason: str = ""
    """The reason of a failure, in words that repeat from call to call."""
    detail: str = ""
    """The details of this failure."""


class Journal(Protocol):
    """A record in which calls are looked up before they are made, and written down after."""

    def recall(self, call: Call) -> RecordedCall | None:
        """Return the recorded outcome of `call`, or None if it has to be made."""
        ...

    def append(self, entry: RecordedCall) -> None:
        """Write down a call that was made."""
        ...
