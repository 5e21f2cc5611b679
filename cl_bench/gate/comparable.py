"""Whether the runs of a pair can be compared at all."""

from __future__ import annotations

from collections.abc import Sequence

from cl_bench.errors import UsageError
from cl_bench.gate.pairs import Pair, Paired
from cl_bench.views import stream_rows


class IncomparableError(UsageError):
    """Runs of candidate and reference were not made under the same conditions."""

    def __init__(self, message: str, differences: Sequence[str]) -> None:
        super().__init__(message)
        self.differences = tuple(differences)


def require_comparable(cases: Sequence[Paired]) -> None:
    """Raise `IncomparableError`, with all differences, unless every pair can be compared."""
    found: dict[str, str] = {}
    for paired in cases:
        for pair in paired.pairs:
            for difference in _differences(pair):
                found.setdefault(difference, f"{paired.case}, seed {pair.seed}: {difference}")
    if found:
        shown = "; ".join(found.values())
        raise IncomparableError(
            f"Candidate and reference cannot be compared: {shown}. Make the candidate's runs as the "
            "reference's were (`cl-bench reference rerun`), or record the reference again.",
            list(found.values()),
        )


def _differences(pair: Pair) -> list[str]:
    ours, theirs = (run.manifest for run in (pair.candidate, pair.reference))
    found = []
    if ours["stream"] != theirs["stream"]:
        found.append(f"stream {ours['stream']} against {theirs['stream']}")
    return found or _other_items(pair)


def _other_items(pair: Pair) -> list[str]:
    """The domains whose items are not those of the reference; runs without items tell nothing."""
    ours, theirs = (
        stream_rows(run.table("items")).groupby("domain")["uid"].agg(frozenset)
        for run in (pair.candidate, pair.reference)
    )
    return [
        f"other test items of {domain}"
        for domain in sorted(ours.index.intersection(theirs.index))
        if ours[domain] != theirs[domain]
    ]
