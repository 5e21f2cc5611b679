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

_Scores = tuple[list[float], list[float]]
"""Of one problem, the scores of the reference's and of the run's responses."""


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
    return {domain: dict(of.scores) for domain, of in run.responses(run.ends[-1]).items()}


def item_changes(pairs: Sequence[Pair]) -> dict[str, ItemChanges]:
    """By domain of the stream, the changes from the references to the runs.

    Problems that only one of a pair was asked are left out; so is a domain without a common one.
    """
    by_domain: dict[str, list[dict[str, _Scores]]] = {}
    for pair in pairs:
        before, after = final_scores(pair.reference), final_scores(pair.run)
        for domain in dict.fromkeys(pair.reference.stages):
            theirs, ours = before.get(domain, {}), after.get(domain, {})
            shared = {uid: (theirs[uid], ours[uid]) for uid in theirs if uid in ours}
            if shared:
                by_domain.setdefault(domain, []).append(shared)
    return {domain: _changes(of) for domain, of in by_domain.items()}


def _changes(pairs: Sequence[Mapping[str, _Scores]]) -> ItemChanges:
    solved: dict[tuple[bool, bool], list[str]] = {}
    differences, floors = [], []
    for shared in pairs:
        before, after = ([float(np.mean(of[side])) for of in shared.values()] for side in (0, 1))
        differences.append(float(np.mean(after) - np.mean(before)))
        samples = [min(len(of[side]) for of in shared.values()) for side in (0, 1)]
        sides = zip((before, after), samples, strict=True)
        # Each is of two scorings of one checkpoint; the difference is of one scoring of either.
        both = _together([sampling_noise_floor(means, count) for means, count in sides])
        floors.append(both if isinstance(both, Undefined) else sqrt(both / 2))
        for uid, one, other in zip(shared, before, after, strict=True):
            solved.setdefault((one >= 0.5, other >= 0.5), []).append(uid)
    total = _together(floors)
    return ItemChanges(
        both=len(solved.get((True, True), [])),
        neither=len(solved.get((False, False), [])),
        wins=tuple(solved.get((False, True), [])),
        losses=tuple(solved.get((True, False), [])),
        difference=float(np.mean(differences)),
        noise_floor=total if isinstance(total, Undefined) else sqrt(total) / len(floors),
    )


def _together(floors: Sequence[float | Undefined]) -> float | Undefined:
    """The sum of squares; undefined with the first reason where one is."""
    total = 0.0
    for floor in floors:
        if isinstance(floor, Undefined):
            return floor
        total += floor**2
    return total
