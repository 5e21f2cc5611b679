"""One run as the checks see it: its manifest, its tables and what its configuration says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from cl_bench.contract.benchmark import is_benchmark
from cl_bench.contract.registry import DOMAINS, LEARNERS
from cl_bench.execution.problem_sets import UNMEASURED
from cl_bench.execution.settings import RunConfig
from cl_bench.verify.findings import MOST_ROWS, Findings
from cl_bench.verify.manifest import FILE

if TYPE_CHECKING:
    import pandas as pd

LABEL = ("domain", "test_set", "setting", "prompt", "weights")
"""What tells the evaluations of one step apart."""
ROW = ("step", *LABEL)
"""What tells all evaluations of a run apart."""
KEYS: Mapping[str, tuple[str, ...]] = {
    "evaluations": ROW,
    "items": (*ROW, "uid", "sample"),
    "steps": ("step",),
    "prompts": ("round", "prompt_id"),
    "ledger": ("step", "channel"),
    "timing": (),
    "transcripts": (*ROW, "uid", "sample"),
}
"""By table, the columns that tell its rows apart; none where rows may repeat."""


class NoTableError(Exception):
    """A run does not have a table that could be read; whoever reads it has nothing to check."""


class Tables(dict[str, "pd.DataFrame"]):
    """The tables that could be read; asking for another one raises `NoTableError`."""

    def __missing__(self, name: str) -> pd.DataFrame:
        raise NoTableError(name)


@dataclass(frozen=True)
class EvaluationPoint:
    """A place at which a run is evaluated."""

    step: int
    stage: int
    """From 1; 0 before training."""
    at: str


@dataclass(frozen=True, eq=False)
class CheckedRun:
    """A run to be checked; its manifest has the shape that `verify.manifest` demands."""

    manifest: Mapping[str, Any]
    config: RunConfig
    """Its `learning` is of no meaning for a learner that is not installed: see `learning`."""
    tables: Tables
    findings: Findings

    @property
    def status(self) -> str:
        return str(self.manifest["status"])

    @property
    def finished(self) -> bool:
        """Whether the run came to the end of its stream."""
        return self.status == "done"

    @property
    def learner(self) -> str:
        return str(self.manifest["config"]["learner"])

    @property
    def own(self) -> bool:
        """Whether nothing but what is built in made the run's numbers."""
        return not self.manifest.get("plugins") and self.learner in LEARNERS.table

    def learning(self, name: str) -> Any:
        """A setting of the learner; None if it has none of that name."""
        return self.manifest["config"]["learning"].get(name)

    @cached_property
    def anonymous(self) -> bool:
        """Whether `items` has scores without their responses, at the start and at stage ends."""
        sample = self.tables["items"]["sample"]
        return len(sample) > 0 and bool(sample.isna().all())

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

    def most_items(self, test_set: str) -> int:
        """How many problems of one domain the configuration asks of a set, at the most."""
        evaluation = self.config.evaluation
        own = {"retention": evaluation.retention_items, "validation": evaluation.validation_items}
        return own.get(test_set, evaluation.items)

    @cached_property
    def largest(self) -> dict[tuple[str, ...], int]:
        """By domain, test set and setting, how many problems an evaluation says that it asked, at
        the most; none where there is no such table."""
        if "evaluations" not in self.tables:
            return {}
        asked = self.tables["evaluations"].groupby(["domain", "test_set", "setting"])["n_items"]
        return {tuple(map(str, key)): int(most) for key, most in asked.max().items()}

    @cached_property
    def ends(self) -> list[int]:
        """The last step of every stage."""
        return list(accumulate(stage["steps"] for stage in self.stages))

    @cached_property
    def points(self) -> list[EvaluationPoint]:
        """The steps at which a run that ends well is evaluated, in order."""
        found, before, every = [EvaluationPoint(0, 0, "start")], 0, self.config.eval_every
        for number, end in enumerate(self.ends, 1):
            found += [
                EvaluationPoint(step, number, "inside")
                for step in range(before + every, end, every)
            ]
            found.append(EvaluationPoint(end, number, "stage-end"))
            before = end
        return found

    @cached_property
    def evaluated(self) -> list[int]:
        """The steps that have rows in `evaluations`, in order."""
        return sorted(set(self.tables["evaluations"]["step"].tolist()))

    @property
    def last(self) -> int:
        """The last step that has rows in `evaluations`; -1 if none has."""
        return max(self.evaluated, default=-1)

    def unmeasured(self, frame: pd.DataFrame) -> pd.Series:
        """Return which rows have no divergence and no entropy."""
        return frame["test_set"].isin(UNMEASURED) | self.of_benchmarks(frame)

    def of_benchmarks(self, frame: pd.DataFrame) -> pd.Series:
        """Which rows are of a benchmark outside the stream."""
        return frame["test_set"].eq("retention") & frame["domain"].map(is_benchmark).astype(bool)

    def of_manifest(self, reason: str) -> None:
        """A finding about the manifest."""
        self.findings.add(reason, file=FILE)

    def of_table(self, table: str, reason: str, key: str = "") -> None:
        """A finding about a table; `key` says about what in it."""
        self.findings.add(reason, table=table, key=key)

    def rows(self, table: str, where: pd.Series, reason: str, *values: pd.Series) -> None:
        """A finding for each row of a table for which `where` is true.

        `reason` has a place in braces for each of `values`, columns of what is and should be.
        """
        frame = self.tables[table]
        if where.dtype == bool and not where.any():
            return  # as nearly always, and much cheaper than to choose no rows
        rows = frame[where.reindex(frame.index, fill_value=False)]
        reasons: str | list[str] = reason
        if values:
            each = zip(*(column[rows.index[:MOST_ROWS]] for column in values), strict=True)
            reasons = [reason.format(*map(_plain, row)) for row in each]
        self.findings.rows(table, rows, reasons, KEYS[table])


def known(domain: str) -> bool:
    """Whether a domain is built in."""
    return domain in DOMAINS.table


def _plain(value: object) -> str:
    """Numbers with ten digits at most."""
    return f"{value:.10g}" if isinstance(value, float) else str(value)
