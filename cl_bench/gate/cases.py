"""Candidate runs beside the reference's: by learner and stream, then paired by seed, and whether
they can be compared at all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cl_bench.analysis.comparability import Setup, key_of
from cl_bench.analysis.pairs import Pair
from cl_bench.analysis.run_values import Measured
from cl_bench.contract.errors import UsageError
from cl_bench.contract.text import one_line
from cl_bench.store.run_tables import RunTables

_BROKEN = ("failed", "diverged")


@dataclass(frozen=True)
class GateCase:
    """A learner on a stream, whose seeds are compared together."""

    learner: str
    stream: str

    def __str__(self) -> str:
        return f"{self.learner} on {self.stream}"


@dataclass(frozen=True, eq=False)
class Paired:
    """A case with its seeds. It can be pickled, and holds no table."""

    case: GateCase
    both: Mapping[int, tuple[RunTables, RunTables]]
    """Seeds that are done in both, in order: the candidate's run and the reference's."""
    broken: Mapping[int, str]
    """Seeds that are done in the reference and failed or diverged in the candidate: why."""
    missing: tuple[int, ...]
    """Seeds of the reference that the candidate lacks."""
    notes: tuple[str, ...]
    """Runs that are left out of the comparison, and why."""
    unpaired: tuple[RunTables, ...]
    """The candidate's runs that are in no pair."""
    recorded: tuple[RunTables, ...]
    """The reference's runs, by seed."""

    @property
    def seeds(self) -> int:
        """The number of seeds of which the reference has a finished run."""
        return len(self.both) + len(self.broken) + len(self.missing)

    def pairs(self) -> tuple[Pair, ...]:
        """The seeds that are done in both, unread; what is read stays with these, and goes with
        them."""
        return tuple(
            Pair(seed, Measured(ours), Measured(theirs))
            for seed, (ours, theirs) in self.both.items()
        )


def pair_up(candidate: Sequence[RunTables], reference: Sequence[RunTables]) -> list[Paired]:
    """All cases of the reference, sorted by name.

    A `UsageError`: two runs of one seed on one side, a run that is not finished, nothing in common.
    """
    ours, theirs = _by_case("candidate", candidate), _by_case("reference", reference)
    if not ours.keys() & theirs.keys():
        mine, others = (", ".join(sorted(map(str, cases))) for cases in (ours, theirs))
        raise UsageError(
            f"The candidate has {mine}, the reference has {others}: nothing can "
            "be compared. Give runs of one learner on one stream on both sides."
        )
    return [_paired(case, ours.get(case, {}), theirs[case]) for case in sorted(theirs, key=str)]


def left_out(candidate: Sequence[RunTables], reference: Sequence[RunTables]) -> list[str]:
    """A line for each case of the candidate that the reference does not have."""
    ours, theirs = _by_case("candidate", candidate), _by_case("reference", reference)
    return [
        f"{case}: not in the reference, so not checked"
        for case in sorted(ours.keys() - theirs.keys(), key=str)
    ]


def _by_case(side: str, runs: Sequence[RunTables]) -> dict[GateCase, dict[int, RunTables]]:
    found: dict[GateCase, dict[int, RunTables]] = defaultdict(dict)
    for run in runs:
        manifest = run.manifest
        case, seed = GateCase(manifest["learner"], manifest["stream"]["name"]), manifest["seed"]
        if manifest["status"] == "running":
            raise UsageError(
                f"The {side}'s run {run.path} is not finished. Go on with "
                f"`cl-bench run --resume {run.path}`, or leave it out."
            )
        if seed in found[case]:
            raise UsageError(
                f"The {side} has two runs of {case}, seed {seed}: {found[case][seed].path} and "
                f"{run.path}. Give one run of every seed."
            )
        found[case][seed] = run
    return dict(found)


def _paired(
    case: GateCase, ours: Mapping[int, RunTables], theirs: Mapping[int, RunTables]
) -> Paired:
    wanted = [seed for seed in sorted(theirs) if theirs[seed].manifest["status"] not in _BROKEN]
    if not wanted:
        raise UsageError(
            f"The reference has no finished run of {case}: all failed or diverged. "
            "Give another reference."
        )
    present = [seed for seed in wanted if seed in ours]
    broken = {
        seed: _why(ours[seed]) for seed in present if ours[seed].manifest["status"] in _BROKEN
    }
    notes = [
        f"{case}, seed {seed}: {_why(theirs[seed])} in the reference, so not checked"
        for seed in sorted(theirs.keys() - set(wanted))
    ]
    extra = sorted(ours.keys() - theirs.keys())
    if extra:
        notes.append(
            f"{case}: the reference lacks seeds {', '.join(map(str, extra))}, so not checked"
        )
    done = [seed for seed in present if seed not in broken]
    return Paired(
        case,
        {seed: (ours[seed], theirs[seed]) for seed in done},
        broken,
        tuple(seed for seed in wanted if seed not in ours),
        tuple(notes),
        tuple(ours[seed] for seed in sorted(ours.keys() - set(done))),
        tuple(theirs[seed] for seed in sorted(theirs)),
    )


def _why(run: RunTables) -> str:
    reason = run.manifest.get("reason")
    status = str(run.manifest["status"])
    return f"{status} ({one_line(str(reason), 200)})" if reason else status


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
        for differences in (*map(_differences, paired.pairs()), _of_unpaired(paired))
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
    known = list(dict.fromkeys(key_of(run.manifest) for run in paired.recorded))
    for run in paired.unpaired:
        key = key_of(run.manifest)
        if key not in known:
            yield from key.differences(known[0])
