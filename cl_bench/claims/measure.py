"""What the runs say of one statement of a claim, before the rule judges it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cl_bench.metrics.bootstrap import Estimate
from cl_bench.metrics.undefined import Undefined


@dataclass(frozen=True)
class Detail:
    """One line of what a reader wants to see beside the mean."""

    what: str
    """A domain, an origin, a cell: `code`, `after math`."""
    values: Mapping[str, Estimate | Undefined]
    """By learner or `difference` the mean over seeds; ratios as they are, not as logarithms."""
    scale: Literal["accuracy", "nats", "ratio", "samples"]


@dataclass(frozen=True)
class Measured:
    """What the runs say of one statement."""

    value_by_seed: Mapping[int, float | Undefined]
    """On the statement's scale, log2 for ratios; {} where only a fit over all seeds has a value."""
    estimate: Estimate | Undefined
    """Mean and interval."""
    details: tuple[Detail, ...]
    notes: tuple[str, ...] = ()
