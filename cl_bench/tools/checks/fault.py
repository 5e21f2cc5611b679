"""A fault, and how rules are turned into faults."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Evidence = TypeVar("Evidence")


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule that a domain or learner breaks, and in plain words how and what to do."""

    rule: str
    explanation: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.explanation}"


Rule = Callable[[Evidence], Iterator[str]]
"""Looks at the evidence and explains each breach; only the first one is told."""


def apply(rules: Mapping[str, Rule[Evidence]], evidence: Evidence) -> list[Fault]:
    """At most one fault for each rule. A rule that code under test makes raise is a fault too."""
    faults = []
    for name, rule in rules.items():
        try:
            said = next(rule(evidence), None)
        except Exception as error:  # noqa: BLE001 - foreign code
            said = f"While this was checked, {describe(error)}."
        if said is not None:
            faults.append(Fault(name, said))
    return faults


def describe(error: BaseException) -> str:
    """`math.py, line 7, raised ValueError: …`, for the innermost frame of `error`."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}, " if frames else "it "
    said = " ".join(str(error).split())
    return f"{place}raised {type(error).__name__}{': ' if said else ''}{said}"


def shortened(text: object, length: int = 80) -> str:
    """`repr`, cut in the middle if it is long."""
    shown = repr(text)
    if len(shown) <= length:
        return shown
    return f"{shown[: length // 2]} … {shown[-length // 4 :]}"
