"""Runs in, a report out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cl_bench.contract.errors import UsageError
from cl_bench.gate.cases import Paired, left_out, pair_up
from cl_bench.gate.comparable import require_comparable
from cl_bench.gate.drift import drift_checks
from cl_bench.gate.metric_checks import number_checks, presence
from cl_bench.gate.outcome import Check, Coverage, GateReport, Skipped
from cl_bench.gate.policy import Policy
from cl_bench.store.run_tables import RunTables

ONE_SEED = "one seed: intervals are over its items and speak of this checkpoint only"


def compare(
    candidate: Sequence[RunTables],
    reference: Sequence[RunTables],
    policy: Policy,
    *,
    names: tuple[str, str] = ("candidate", "reference"),
) -> GateReport:
    """The candidate's runs beside the reference's, under a policy; `names` is what to call them.

    What cannot be compared is a `UsageError`.
    """
    cases = pair_up(candidate, reference)
    require_comparable(cases)
    found = [each for paired in cases for each in _checks(paired, policy)]
    checks = [each for each in found if isinstance(each, Check)]
    notes = [note for paired in cases for note in paired.notes]
    skipped = tuple(each for each in found if isinstance(each, Skipped))
    notes += [f"{paired.case}: {ONE_SEED}" for paired in cases if len(paired.pairs) == 1]
    if len(checks) == len(cases) and any(paired.pairs for paired in cases):
        raise UsageError(f"{policy.source} asks for nothing that these runs have: {skipped[-1]}.")
    return GateReport(
        candidate=names[0],
        reference=names[1],
        policy=policy.source,
        policy_sha256=policy.sha256,
        level=policy.level,
        coverage=tuple(map(_coverage, cases)),
        checks=tuple(checks),
        notes=(*notes, *left_out(candidate, reference)),
        skipped=skipped,
    )


def _checks(paired: Paired, policy: Policy) -> Iterator[Check | Skipped]:
    yield presence(paired, policy)
    if paired.pairs:
        yield from number_checks(paired, policy)
        yield from drift_checks(paired, policy)


def _coverage(paired: Paired) -> Coverage:
    seeds = tuple(pair.seed for pair in paired.pairs)
    identical = bool(seeds) and all(pair.identical for pair in paired.pairs)
    return Coverage(paired.case, seeds, paired.seeds, identical)
