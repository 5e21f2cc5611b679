"""How many times fewer samples a learner needs than the reference of its board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log2

import numpy as np

from cl_bench.analysis.entries import RunEntry
from cl_bench.analysis.paired import BySeed
from cl_bench.analysis.run_values import Axis
from cl_bench.contract.registry import REFERENCE_LEARNER
from cl_bench.metrics.arrays import Array
from cl_bench.metrics.efficiency import sample_efficiency
from cl_bench.metrics.undefined import Undefined


def efficiencies(
    own: Mapping[int, RunEntry],
    reference: Mapping[int, RunEntry] | None,
    seeds: Sequence[int],
    axis: Axis,
    who: str = REFERENCE_LEARNER,
) -> dict[int, float | Undefined]:
    """By seed, `sample_efficiency` of a row of a board against the reference's run of that seed.

    The learning curve of a run is its mean accuracy over the stream's stages, under the learner's
    prompt, at every evaluation, over the samples spent since the stream began; on validation
    problems, where runs were asked any (`Measured.peak_set`). On a stream of one
    stage that is claim 1 of Tiwari et al. 2026 (FST), on a longer one its end is the run's
    `average_accuracy`. The level is the highest that the reference's own curve reaches, and the
    value the reference's samples when it first got there over the learner's. Of points with equal
    samples, as where a learner improves its prompts between RL steps, the best counts. `who` is the
    reference by the name that messages use.
    """
    if reference is None:
        return dict.fromkeys(seeds, Undefined(f"no run of {who} to compare with"))
    return {seed: _of_seed(own.get(seed), reference.get(seed), axis, who) for seed in seeds}


def log_ratios(by_seed: BySeed, own: Mapping[int, RunEntry]) -> BySeed:
    """The ratios as log2, whose mean is that of the geometric mean; none at all if one is lacking.

    A learner that never came to the level with some of its finished runs has no efficiency: those
    where it did would flatter it.
    """
    done = [seed for seed, entry in own.items() if entry.status == "done"]
    lacking = {seed: value.reason for seed in done if isinstance(value := by_seed[seed], Undefined)}
    if lacking:
        seed, reason = next(iter(lacking.items()))
        if len({*lacking.values()}) > 1 or len(lacking) < len(done):
            reason = f"{len(lacking)} of {len(done)} runs have none; seed {seed}, for one: {reason}"
        return dict.fromkeys(by_seed, Undefined(reason))
    return {
        seed: value if isinstance(value, Undefined) else log2(value)
        for seed, value in by_seed.items()
    }


def _of_seed(
    own: RunEntry | None, reference: RunEntry | None, axis: Axis, called: str
) -> float | Undefined:
    if reference is None:
        return Undefined(f"no run of {called} with this seed")
    if own is None:
        return Undefined("there is no run")
    for entry, who in ((own, ""), (reference, f"{called}: ")):
        if not entry.curves:
            value = entry.value("average_accuracy")
            return Undefined(f"{who}{value.reason if isinstance(value, Undefined) else ''}")
    curves = [_best_by_samples(*entry.curves[axis]) for entry in (own, reference)]
    for (_, samples), who in zip(curves, ("the learner", called), strict=True):
        if samples[-1] == 0:
            return Undefined(f"{who} spends no {_AXES[axis]}")
    return sample_efficiency(*curves[0], *curves[1])


def _best_by_samples(acc_E: Array, samples_E: Array) -> tuple[Array, Array]:
    """The curve with one point, the best, for each number of samples."""
    samples_P, place_E = np.unique(samples_E, return_inverse=True)
    best = np.full(len(samples_P), -np.inf)
    np.maximum.at(best, place_E, acc_E)
    return best, samples_P


_AXES: Mapping[Axis, str] = {"samples_slow": "training samples", "rollouts": "rollouts"}
