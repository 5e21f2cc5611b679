"""One run as the checks see it: its manifest, its tables and what its configuration says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from cl_bench.contract.registry import DOMAINS
from cl_bench.verify.findings import Findings

if TYPE_CHECKING:
    import pandas as pd

LABEL = ("domain", "test_set", "setting", "prompt", "weights")
"""What tells the evaluations of one step apart."""
KEYS: Mapping[str, tuple[str, ...]] = {
    "evaluations": ("step", *LABEL),
    "items": ("step", *LABEL, "uid", "sample"),
    "steps": ("step",),
    "prompts": ("round", "prompt_id"),
    "ledger": ("step", "channel"),
    "timing": (),
    "transcripts": ("step", *LABEL, "uid", "sample"),
}
"""By table, the columns that tell its rows apart; none where rows may repeat."""


@dataclass(frozen=True)
class Point:
    """A place at which a run is evaluated."""

    step: int
    stage: int
    """From 1; 0 before training."""
    at: str


@dataclass(frozen=True, eq=False)
class Case:
    """A run to be checked; its manifest has the shape that `verify.manifest` demands."""

    manifest: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame]
    """Those that it has and that could be read."""
    findings: Findings
    computed: dict[str, Any] = field(default_factory=dict)
    """What one check has computed and another reads."""

    @property
    def status(self) -> str:
        return str(self.manifest["status"])

    @property
    def finished(self) -> bool:
        """Whether the run came to the end of its stream."""
        return self.status == "done"

    @cached_property
    def anonymous(self) -> bool:
        """Whether `items` has scores without their responses, at the start and at stage ends."""
        sample = self.tables["items"]["sample"]
        return len(sample) > 0 and bool(sample.isna().all())

    @property
    def own(self) -> bool:
        """Whether nothing but what is built in made the run's numbers."""
        return not self.manifest.get("plugins") and "/" not in str(self.manifest["learner"])

    def option(self, *names: str) -> Any:
        """An entry of the configuration; None if there is none."""
        found: Any = self.manifest["config"]
        for name in names:
            found = found.get(name) if isinstance(found, Mapping) else None
        return found

    @property
    def stages(self) -> list[Mapping[str, Any]]:
        return list(self.manifest["stream"]["stages"])

    @property
    def domains(self) -> tuple[str, ...]:
        """The stream's domains in order of first appearance."""
        return tuple(dict.fromkeys(stage["domain"] for stage in self.stages))

    @property
    def outside(self) -> tuple[str, ...]:
        """The domains outside the stream that are evaluated."""
        return tuple(one["domain"] for one in self.manifest["stream"]["retention"])

    @cached_property
    def versions(self) -> dict[str, str]:
        """The version of every domain, of the stream and outside of it."""
        described = (*self.manifest["stream"]["retention"], *self.stages)
        return {one["domain"]: one["domain_version"] for one in described}

    @cached_property
    def settings(self) -> dict[str, str]:
        """By domain of the stream, the setting of its test problems: that of its first stage."""
        return {stage["domain"]: stage["setting"] for stage in reversed(self.stages)}

    @cached_property
    def ends(self) -> list[int]:
        """The last step of every stage."""
        return list(accumulate(stage["steps"] for stage in self.stages))

    @cached_property
    def points(self) -> list[Point]:
        """Where a run that ends well is evaluated, in order."""
        found, before = [Point(0, 0, "start")], 0
        for number, end in enumerate(self.ends, 1):
            inside = range(before + self.option("eval_every"), end, self.option("eval_every"))
            found += [Point(step, number, "inside") for step in inside]
            found.append(Point(end, number, "stage-end"))
            before = end
        return found

    @cached_property
    def evaluated(self) -> list[int]:
        """The steps that have rows in `evaluations`, in order."""
        return sorted(set(self.tables["evaluations"]["step"].tolist()))

    def rows(self, table: str, where: pd.Series, reason: str | Callable[[Any], str]) -> None:
        """A finding for the rows of a table for which `where` is true; `reason` may read a row."""
        if not where.any():
            return
        rows = self.tables[table][where]
        if callable(reason):
            reasons: Any = [reason(row) for _, row in rows.head(10).iterrows()]
        else:
            reasons = reason
        self.findings.rows(table, rows, reasons, KEYS[table])

    def compare(
        self, table: str, where: pd.Series, reason: str, stored: pd.Series, right: pd.Series
    ) -> None:
        """As `rows`; `reason` has a place for the stored value and one for the right one."""
        reasons = [
            reason.format(_plain(here), _plain(there))
            for here, there in zip(stored[where].head(10), right[where].head(10), strict=True)
        ]
        self.findings.rows(table, self.tables[table][where], reasons, KEYS[table])


def known(domain: str, version: str | None = None) -> bool:
    """Whether a domain is built in, and in that version."""
    return domain in DOMAINS.table and version in (None, DOMAINS.load(domain).version)


def _plain(value: object) -> str:
    """Numbers with ten digits at most."""
    return f"{value:.10g}" if isinstance(value, float) else str(value)


Check = Callable[[Case], None]
