"""The checks of single numbers of a run, and of whether there are runs to check."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from cl_bench.analysis.run_values import RUN_METRICS, RunMetric
from cl_bench.contract.errors import UsageError
from cl_bench.gate.differences import Differences, Question, answer, every_seed, identical
from cl_bench.gate.items import Resampled, of_accuracies
from cl_bench.gate.outcome import Check, Skipped
from cl_bench.gate.pairs import Pair, Paired
from cl_bench.gate.policy import OPTIONAL, MetricRule, Policy
from cl_bench.gate.rule import INCONCLUSIVE, PASS, REGRESS
from cl_bench.metrics.undefined import Undefined, finite


def presence(paired: Paired, policy: Policy) -> Check:
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


def number_checks(paired: Paired, policy: Policy) -> Iterator[Check | Skipped]:
    """For every metric of the policy a check; one that no run has is undecided, or skipped if the
    policy calls it optional."""
    for name, rule in policy.metrics.items():
        yield _check(paired, name, rule, policy.level)


def _check(paired: Paired, name: str, rule: MetricRule, level: float) -> Check | Skipped:
    metric = RUN_METRICS[name]
    ours = {pair.seed: finite(metric.value(pair.candidate)) for pair in paired.pairs}
    theirs = {pair.seed: finite(metric.value(pair.reference)) for pair in paired.pairs}
    lost = [*_lost("candidate", ours), *_lost("reference", theirs)]
    if len(lost) == len(ours) + len(theirs):
        said = f"is undefined in all runs ({lost[0]})"
        if rule.optional:
            return Skipped(paired.case, name, said)
        said = f"it {said}; {OPTIONAL.format('metrics', name)}"
        return Check(paired.case, name, INCONCLUSIVE, said, unit=metric.unit)
    if lost:
        return Check(paired.case, name, INCONCLUSIVE, "; ".join(lost), unit=metric.unit)
    candidate, reference = _values(ours), _values(theirs)
    tolerance = rule.tolerance.at(float(np.mean(reference)))
    question = Question(paired.case, name, metric.unit, rule.better, tolerance, level)
    if all(pair.identical for pair in paired.pairs) and candidate == reference:
        return identical(question, Differences(candidate, reference, []))
    if not rule.interval:
        return every_seed(question, Differences(candidate, reference, []))
    items = [_items(pair, metric) for pair in paired.pairs]
    return answer(question, Differences(candidate, reference, items))


def _items(pair: Pair, metric: RunMetric) -> Resampled | Undefined | None:
    if not of_accuracies(metric, pair.reference):
        return None
    items = pair.items
    return items if isinstance(items, Undefined) else items.of_metric(metric)


def _lost(side: str, values: dict[int, float | Undefined]) -> list[str]:
    return [
        f"{side}, seed {seed}: {value.reason}"
        for seed, value in values.items()
        if isinstance(value, Undefined)
    ]


def _values(values: dict[int, float | Undefined]) -> Sequence[float]:
    return [value for value in values.values() if not isinstance(value, Undefined)]
