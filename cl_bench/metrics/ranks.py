"""Rank intervals: the places that a learner may have, had other seeds been drawn."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Ranks:
    """The lowest and highest rank of a learner, 1 being the best."""

    best: int
    worst: int
    of: int
    """Learners that are ranked."""
    level: float

    def __str__(self) -> str:
        return f"{self.best}–{self.worst}" if self.best < self.worst else f"{self.best}"
