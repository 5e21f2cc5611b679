"""The gate: a candidate's runs beside a reference's, and whether they got worse.

    from cl_bench.gate.regression import check
    report = check([Path("runs/candidate")], Path("results/gate"))
    report.verdict        # pass, regress or inconclusive

docs/gate.md says how a verdict is reached, and what it claims.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cl_bench.analysis.paired import BySeed, ItemNoise, known
from cl_bench.analysis.pairs import Pair, of_accuracies, paired_values
from cl_bench.analysis.run_values import RUN_METRICS, RunMetric
from cl_bench.contract.errors import RunDirectoryError, UsageError
from cl_bench.execution.processes import in_order
from cl_bench.gate.cases import GateCase, Paired, left_out, pair_up, require_comparable
from cl_bench.gate.drift import drift_checks
from cl_bench.gate.outcome import INCONCLUSIVE, PASS, REGRESS, Check, Coverage, GateReport, Skipped
from cl_bench.gate.policy import OPTIONAL, GatePolicy, MetricRule
from cl_bench.gate.reference import open_reference, require_verified
from cl_bench.gate.rule import GateQuestion, answer, every_seed, identical
from cl_bench.metrics.undefined import Undefined
from cl_bench.store.remote import fetched, with_urls
from cl_bench.store.run_tables import RunTables, find_runs

__all__ = ["GateReport", "check"]


def check(
    candidate: Sequence[Path],
    reference: Path,
    policy: GatePolicy | None = None,
    *,
    verify: bool = False,
    jobs: int = 1,
) -> GateReport:
    """The runs at or below the paths of `candidate` beside those of `reference`.

    `reference` is a folder that `cl-bench reference record` wrote, a run, or a folder of runs. The
    policy is the one given, else the reference's own, else the default one. Runs that cannot be
    read or compared are a `ClBenchError`: nothing is left out silently. With `verify` so are runs
    of either side in which verification finds anything (`cl-bench results verify`). Many runs are
    read by `jobs` processes.
    """
    candidate, reference = [fetched(path) for path in candidate], fetched(reference)
    found, unreadable = find_runs(candidate)
    if unreadable:
        raise RunDirectoryError(f"The candidate cannot be read: {unreadable[0].reason}")
    recorded = open_reference(reference)
    if verify:
        require_verified([*found, *recorded.runs], jobs)
    names = (with_urls(", ".join(map(str, candidate))), with_urls(str(reference)))
    return compare(found, recorded.runs, policy or recorded.policy, names=names, jobs=jobs)


ONE_SEED = "one seed: intervals are over its items and speak of this checkpoint only"


def compare(
    candidate: Sequence[RunTables],
    reference: Sequence[RunTables],
    policy: GatePolicy,
    *,
    names: tuple[str, str] = ("candidate", "reference"),
    jobs: int = 1,
) -> GateReport:
    """The candidate's runs beside the reference's, under a policy; `names` is what to call them.

    What cannot be compared is a `UsageError`. The cases are judged one after the other, or by so
    many processes, and the tables of one are forgotten before the next.
    """
    cases = pair_up(candidate, reference)
    require_comparable(cases)
    both = sum(len(paired.both) for paired in cases)
    judged = list(in_order(partial(_judged, policy=policy), cases, jobs=jobs, runs=2 * both))
    found = [each for case in judged for each in case.found]
    checks = [each for each in found if isinstance(each, Check)]
    notes = [note for paired in cases for note in paired.notes]
    skipped = tuple(each for each in found if isinstance(each, Skipped))
    notes += [f"{paired.case}: {ONE_SEED}" for paired in cases if len(paired.both) == 1]
    finished = all(check.verdict == PASS for check in checks)
    if len(checks) == len(cases) and both and finished:
        raise UsageError(f"{policy.source} asks for nothing that these runs have: {skipped[-1]}.")
    return GateReport(
        candidate=names[0],
        reference=names[1],
        policy=policy.source,
        policy_sha256=policy.sha256,
        level=policy.level,
        coverage=tuple(case.coverage for case in judged),
        checks=tuple(checks),
        notes=(*notes, *left_out(candidate, reference)),
        skipped=skipped,
    )


class _Judged(NamedTuple):
    """What is said of one case."""

    coverage: Coverage
    found: Sequence[Check | Skipped]


def _judged(paired: Paired, policy: GatePolicy) -> _Judged:
    """Read the runs of one case and judge them; their tables go with the return."""
    case, pairs = paired.case, paired.pairs()
    seeds = tuple(pair.seed for pair in pairs)
    identical = bool(seeds) and all(pair.identical for pair in pairs)
    found: list[Check | Skipped] = [presence(paired, policy)]
    if pairs:
        found += number_checks(case, pairs, policy)
        found += drift_checks(case, pairs, policy)
    return _Judged(Coverage(case, seeds, paired.seeds, identical), found)


def presence(paired: Paired, policy: GatePolicy) -> Check:
    """Whether every seed of the reference was run to its end.

    A run that failed or diverged is a regression; a missing one leaves the case undecided, or is a
    `UsageError` if the policy says so.
    """
    if paired.broken:
        reasons = "; ".join(f"seed {seed} {why}" for seed, why in paired.broken.items())
        return Check(paired.case, "finished", REGRESS, reasons)
    if paired.missing:
        seeds = ", ".join(map(str, paired.missing))
        lacking = f"the candidate lacks seeds {seeds} of the reference"
        if policy.missing_seeds == "error":
            raise UsageError(
                f"{paired.case}: {lacking}. Make those runs, or set missing_seeds = "
                f'"inconclusive" in {policy.source}.'
            )
        return Check(paired.case, "finished", INCONCLUSIVE, lacking, needed=paired.seeds)
    return Check(paired.case, "finished", PASS, f"all {paired.seeds} seeds are done")


def number_checks(
    case: GateCase, pairs: Sequence[Pair], policy: GatePolicy
) -> Iterator[Check | Skipped]:
    """For every metric of the policy a check; one that no run has is undecided, or skipped if the
    policy calls it optional."""
    for name, rule in policy.metrics.items():
        yield _check(case, pairs, name, rule, policy.level)


def _check(
    case: GateCase, pairs: Sequence[Pair], name: str, rule: MetricRule, level: float
) -> Check | Skipped:
    metric = RUN_METRICS[name]
    found = paired_values(pairs, metric)
    lost = [*_lost("candidate", found.values), *_lost("reference", found.reference)]
    if len(lost) == 2 * len(pairs):
        said = f"is undefined in all runs ({lost[0]})"
        if rule.optional:
            return Skipped(case, name, said)
        said = f"it {said}; {OPTIONAL.format('metrics', name)}"
        return Check(case, name, INCONCLUSIVE, said, quantity=metric.quantity)
    if lost:
        return Check(case, name, INCONCLUSIVE, "; ".join(lost), quantity=metric.quantity)
    tolerance = rule.tolerance.at(float(np.mean(known(found.reference))))
    question = GateQuestion(case, name, metric.quantity, rule.better, tolerance, level)
    if all(pair.identical for pair in pairs) and found.values == found.reference:
        return identical(question, found)
    if not rule.interval:
        return every_seed(question, found)
    return answer(question, replace(found, noise=dict(_noise(pairs, metric))))


def _noise(pairs: Sequence[Pair], metric: RunMetric) -> Iterator[tuple[int, ItemNoise | Undefined]]:
    """By seed, for a metric that is computed from accuracies."""
    for pair in pairs:
        if of_accuracies(metric, pair.reference):
            items = pair.items
            found = items if isinstance(items, Undefined) else items.of_metric(metric)
            if found is not None:
                yield pair.seed, found


def _lost(side: str, values: BySeed) -> list[str]:
    return [
        f"{side}, seed {seed}: {value.reason}"
        for seed, value in values.items()
        if isinstance(value, Undefined)
    ]
