"""The checks of single numbers of a run, and of whether there are runs to check."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from cl_bench.analysis.paired import BySeed, ItemNoise, known
from cl_bench.analysis.pairs import Pair, of_accuracies, paired_values
from cl_bench.analysis.run_values import RUN_METRICS, RunMetric
from cl_bench.contract.errors import UsageError
from cl_bench.gate.cases import Paired
from cl_bench.gate.outcome import Check, Skipped
from cl_bench.gate.policy import OPTIONAL, MetricRule, Policy
from cl_bench.gate.questions import Question, answer, every_seed, identical
from cl_bench.gate.rule import INCONCLUSIVE, PASS, REGRESS
from cl_bench.metrics.undefined import Undefined


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
    found = paired_values(paired.pairs, metric)
    lost = [*_lost("candidate", found.values), *_lost("reference", found.reference)]
    if len(lost) == 2 * len(paired.pairs):
        said = f"is undefined in all runs ({lost[0]})"
        if rule.optional:
            return Skipped(paired.case, name, said)
        said = f"it {said}; {OPTIONAL.format('metrics', name)}"
        return Check(paired.case, name, INCONCLUSIVE, said, quantity=metric.quantity)
    if lost:
        return Check(paired.case, name, INCONCLUSIVE, "; ".join(lost), quantity=metric.quantity)
    tolerance = rule.tolerance.at(float(np.mean(known(found.reference))))
    question = Question(paired.case, name, metric.quantity, rule.better, tolerance, level)
    if all(pair.identical for pair in paired.pairs) and found.values == found.reference:
        return identical(question, found)
    if not rule.interval:
        return every_seed(question, found)
    return answer(question, replace(found, noise=dict(_noise(paired.pairs, metric))))


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
