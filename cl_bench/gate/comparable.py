"""Whether the runs of candidate and reference can be compared at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cl_bench.analysis.comparability import Setup, key_of
from cl_bench.analysis.pairs import Pair
from cl_bench.contract.errors import UsageError
from cl_bench.gate.cases import Paired


class IncomparableError(UsageError):
    """Runs of candidate and reference were not made under the same conditions."""

    def __init__(self, differences: Sequence[str]) -> None:
        super().__init__(
            f"Candidate and reference cannot be compared: {'; '.join(differences)}. Make the "
            "candidate's runs as the reference's were (`cl-bench reference rerun`), or record the "
            "reference again (`cl-bench reference record`)."
        )
        self.differences = tuple(differences)


def require_comparable(cases: Sequence[Paired]) -> None:
    """Raise `IncomparableError` with all differences, each once, unless every pair compares, and
    every run of the candidate without a pair was asked what a run of the reference was."""
    found = [
        f"{paired.case}: {difference}"
        for paired in cases
        for differences in (*map(_differences, paired.pairs), _of_unpaired(paired))
        for difference in differences
    ]
    if found:
        raise IncomparableError(list(dict.fromkeys(found)))


def _differences(pair: Pair) -> Iterator[str]:
    """Those of what both were asked; items that a run does not have were never asked."""
    ours, theirs = Setup.of(pair.run.run), Setup.of(pair.reference.run)
    yield from ours.differences(theirs)
    for side, setup, stages in (
        ("candidate", ours, pair.run.stages),
        ("reference", theirs, pair.reference.stages),
    ):
        for domain in dict.fromkeys(stages):
            if domain not in setup.items:
                yield f"the {side} has no test problems of {domain} with seed {pair.seed}"


def _of_unpaired(paired: Paired) -> Iterator[str]:
    """Runs of seeds that the reference lacks, and those that failed."""
    known = [key_of(run.manifest) for run in paired.recorded]
    for run in paired.unpaired:
        key = key_of(run.manifest)
        if key not in known:
            yield from key.differences(known[0])
