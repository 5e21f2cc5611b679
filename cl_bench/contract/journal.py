"""Calls to a reflection LM outside a run, and what looks them up and writes them down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from cl_bench.contract.prompts import Message
from cl_bench.contract.text import config_hash

Style = Literal["rules", "transcript", "brief"]
"""How a reflection LM is asked, and how its reply is read."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a reflection LM."""

    number: int
    """The run's how many-th reflection it is, from 1, by the ledger."""
    model: str
    """Kind and name of the reflection LM."""
    style: Style
    """How the messages are written and the reply is read."""
    messages: list[Message]

    @property
    def request(self) -> str:
        """SHA-256 (hex) of what is asked of whom."""
        return config_hash({"model": self.model, "messages": self.messages})


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A line of the record: a call, what came of it and what it took."""

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
    """Why it failed, in words that repeat from call to call."""
    detail: str = ""
    """What was special about this failure."""


class Journal(Protocol):
    """Where calls are looked up before they are made, and written down after."""

    def recall(self, call: Call) -> RecordedCall | None:
        """What is known to have come of `call`; None if it has to be made."""
        ...

    def append(self, entry: RecordedCall) -> None: ...
