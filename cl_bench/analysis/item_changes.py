"""Which test problems one learner solves at the end and another does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from cl_bench.analysis.pairs import Pair
from cl_bench.analysis.run_values import Measured
from cl_bench.metrics.comparison import sampling_noise_floor
from cl_bench.metrics.undefined import Undefined

Scores = Mapping[str, Mapping[str, list[float]]]
"""By domain and uid, the scores of all samples."""


@dataclass(frozen=True)
class ItemChanges:
    """The test problems of one domain that both were asked, over the seeds that both have.

    A problem is solved when at least half of its responses are right.
    """

    both: int
    neither: int
    wins: tuple[str, ...]
    """Solved by the second alone, by their identifiers."""
    losses: tuple[str, ...]
    """Solved by the first alone."""
    difference: float
    """Mean score of the second minus that of the first."""
    noise_floor: float | Undefined
    """Size of difference that two scorings of checkpoints without any difference exceed in 5 of
    100 cases, for as many seeds, problems and samples."""

    @property
    def items(self) -> int:
        """Problems that were compared."""
        return self.both + self.neither + len(self.wins) + len(self.losses)


def final_scores(run: Measured) -> dict[str, dict[str, list[float]]]:
    """The scores under the learner's prompt at the stream's end; empty for an unfinished run."""
    names = ("step", "test_set", "weights", "prompt", "domain", "uid", "score")
    found: dict[str, dict[str, list[float]]] = {}
    wanted = (run.ends[-1], "stream", "trained", "learner")
    for *place, domain, uid, score in run.rows("items", *names):
        if tuple(place) == wanted:
            found.setdefault(domain, {}).setdefault(uid, []).append(score)
    return found


def item_changes(pairs: Sequence[Pair]) -> dict[str, ItemChanges]:
    """By domain of the stream, the changes from the references to the runs.

    Problems that only one of a pair was asked are left out; so is a domain without a common one.
    """
    by_domain: dict[str, list[_Shared]] = {}
    for pair in pairs:
        before, after = final_scores(pair.reference), final_scores(pair.run)
        for domain in dict.fromkeys(pair.reference.stages):
            uids = [uid for uid in before.get(domain, {}) if uid in after.get(domain, {})]
            if uids:
                scores = [(before[domain][uid], after[domain][uid]) for uid in uids]
                by_domain.setdefault(domain, []).append(_Shared(uids, scores))
    return {domain: _changes(shared) for domain, shared in by_domain.items()}


@dataclass(frozen=True)
class _Shared:
    """The problems of one domain that both runs of a pair were asked."""

    uids: Sequence[str]
    scores: Sequence[tuple[list[float], list[float]]]
    """Of every problem, the scores of the reference's and of the run's responses."""

    def means(self) -> tuple[list[float], list[float]]:
        return (
            [float(np.mean(before)) for before, _ in self.scores],
            [float(np.mean(after)) for _, after in self.scores],
        )

    def floor(self) -> float | Undefined:
        """The noise floor of the difference of the two."""
        floors = [
            sampling_noise_floor(means, min(len(of[side]) for of in self.scores))
            for side, means in enumerate(self.means())
        ]
        known = [floor for floor in floors if not isinstance(floor, Undefined)]
        if len(known) < len(floors):
            return next(floor for floor in floors if isinstance(floor, Undefined))
        # Each floor is of two scorings of one checkpoint; this one is of one scoring of either.
        return sqrt(sum(floor**2 for floor in known) / 2)


def _changes(pairs: Sequence[_Shared]) -> ItemChanges:
    solved: dict[tuple[bool, bool], list[str]] = {}
    differences = []
    for pair in pairs:
        before, after = pair.means()
        differences.append(float(np.mean(after) - np.mean(before)))
        for uid, one, other in zip(pair.uids, before, after, strict=True):
            solved.setdefault((one >= 0.5, other >= 0.5), []).append(uid)
    return ItemChanges(
        both=len(solved.get((True, True), [])),
        neither=len(solved.get((False, False), [])),
        wins=tuple(solved.get((False, True), [])),
        losses=tuple(solved.get((True, False), [])),
        difference=float(np.mean(differences)),
        noise_floor=_floor([pair.floor() for pair in pairs]),
    )


def _floor(floors: Sequence[float | Undefined]) -> float | Undefined:
    """The floor of the mean of differences that have these floors."""
    total = 0.0
    for floor in floors:
        if isinstance(floor, Undefined):
            return floor
        total += floor**2
    return sqrt(total) / len(floors)
