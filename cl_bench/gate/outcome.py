"""The outcome of a comparison: its checks and the verdict over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from cl_bench.gate.cases import GateCase
from cl_bench.metrics.quantities import NUMBER, Quantity
from cl_bench.metrics.stats.student import Interval
from cl_bench.metrics.undefined import Undefined

GateVerdict = Literal["pass", "regress", "inconclusive"]
PASS: GateVerdict = "pass"
REGRESS: GateVerdict = "regress"
INCONCLUSIVE: GateVerdict = "inconclusive"
EXIT_CODES: Mapping[GateVerdict, int] = {PASS: 0, REGRESS: 1, INCONCLUSIVE: 3}
"""2 is an error: of the command, or because the runs cannot be compared."""
_NONE = Undefined("not a number")


@dataclass(frozen=True)
class Check:
    """One question and its answer."""

    case: GateCase
    name: str
    """Such as `average_accuracy`, `accuracy, mean drift` or `finished`."""
    verdict: GateVerdict
    reason: str
    """Why, in words; what is needed if nothing could be decided."""
    quantity: Quantity = NUMBER
    reference: float | Undefined = _NONE
    """Mean over the seeds that are compared."""
    candidate: float | Undefined = _NONE
    difference: float | Undefined = _NONE
    """Candidate − reference, mean over the seeds; the sign is that of the numbers."""
    worse: float = 0.0
    """The same with the sign that makes negative worse."""
    interval: Interval | Undefined = _NONE
    """Of the difference."""
    tolerance: float | None = None
    better: str = "higher"
    needed: int | Undefined | None = None
    """How many seeds or items would decide; None where nothing is undecided."""
    needed_unit: str = "seeds"


@dataclass(frozen=True)
class Skipped:
    """A question that was not asked, because the policy calls it optional and no run has it."""

    case: GateCase
    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.case}: {self.name} {self.reason}, so not checked"


@dataclass(frozen=True)
class Coverage:
    """Which seeds of a case were compared."""

    case: GateCase
    compared: tuple[int, ...]
    of_seeds: int
    identical: bool
    """Whether all that were compared are equal to the last bit."""

    def __str__(self) -> str:
        same = ", identical" if self.identical else ""
        return f"{self.case}: {len(self.compared)} of {self.of_seeds} seeds{same}"


@dataclass(frozen=True)
class GateReport:
    """A candidate beside a reference."""

    candidate: str
    reference: str
    """Where both were read."""
    policy: str
    """Where it was read, or `the default policy`."""
    policy_sha256: str
    level: float
    coverage: tuple[Coverage, ...]
    checks: tuple[Check, ...]
    notes: tuple[str, ...] = field(default=())
    """Runs that are left out of the comparison, and the reach of its intervals."""
    skipped: tuple[Skipped, ...] = field(default=())

    @property
    def cases(self) -> list[tuple[Coverage, list[Check]]]:
        """Each case and its checks."""
        return [(of, [c for c in self.checks if c.case == of.case]) for of in self.coverage]

    @property
    def remarks(self) -> tuple[str, ...]:
        """Everything that a reader should know besides the checks."""
        return (*map(str, self.skipped), *self.notes)

    @property
    def verdict(self) -> GateVerdict:
        """Regress if any check does, else inconclusive if any is, else pass."""
        return worst([check.verdict for check in self.checks])

    @property
    def exit_code(self) -> int:
        """0 pass, 1 regress, 3 inconclusive."""
        return EXIT_CODES[self.verdict]

    @property
    def counts(self) -> Mapping[GateVerdict, int]:
        """The number of checks by verdict."""
        found: Sequence[GateVerdict] = [check.verdict for check in self.checks]
        return {verdict: found.count(verdict) for verdict in (PASS, REGRESS, INCONCLUSIVE)}


def worst(verdicts: list[GateVerdict]) -> GateVerdict:
    """One regression is a regression; without one, one that is not decided leaves all undecided."""
    for verdict in (REGRESS, INCONCLUSIVE):
        if verdict in verdicts:
            return verdict
    return PASS
