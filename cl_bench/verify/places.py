"""Where a run was evaluated: every row of the grid that stream and configuration span, no other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cl_bench.contract.registry import DOMAINS
from cl_bench.verify.case import ROW, Case, known

Label = tuple[str, ...]
"""Values of the columns `LABEL`."""


def places(case: Case) -> None:
    """Steps, stages and places of `evaluations` are those of the stream, and so is their end."""
    frame = case.tables["evaluations"]
    point = {found.step: found for found in case.points}
    case.rows("evaluations", ~frame["step"].isin(point), "the run is not evaluated at this step")
    for column in ("stage", "at"):
        right = frame["step"].map({step: getattr(found, column) for step, found in point.items()})
        wrong = right.notna() & (frame[column] != right)
        reason = f"{column} is {{}}, but by the stream it is {{}}"
        case.rows("evaluations", wrong, reason, frame[column], right)
    for step, found in point.items():
        if step not in case.evaluated and (case.finished or step <= case.last):
            reason = f"no evaluation at step {step} ({found.at} of stage {found.stage})"
            case.of_table("evaluations", reason)


def ended(case: Case) -> None:
    """A run that did not come to its end was not evaluated there; one that diverged shows what."""
    if case.finished:
        return
    if (last := case.ends[-1]) in case.evaluated:
        case.of_manifest(
            f"status is {case.status!r}, but the run was evaluated at step {last}, its last: it is "
            "done"
        )
    if case.status == "diverged" and len(case.tables["ledger"]) <= 2 * len(case.evaluated):
        case.of_manifest("status is 'diverged', but the tables have no stretch that diverged")


def grid(case: Case) -> None:
    """Every evaluation asked what the configuration says, and all of it."""
    frame = case.tables["evaluations"]
    boundary = {point.step: point.at != "inside" for point in case.points}
    there = list(frame[list(ROW)].itertuples(index=False, name=None))
    at_ends = {row[1:] for row in there if boundary.get(row[0])}
    inside, full = [*_stream(case, "trained")], [*_full(case, at_ends)]
    due = {
        (step, *label)
        for step in case.evaluated
        if step in boundary
        for label in (full if boundary[step] else inside)
    }
    for step, *label in sorted(due.difference(there)):
        case.of_table(
            "evaluations", "the row is missing", f"step {step}, {', '.join(map(str, label))}"
        )
    extra = frame["step"].isin(boundary) & np.array([row not in due for row in there], bool)
    case.rows("evaluations", extra, "the configuration asks for no such row")


def _full(case: Case, at_ends: set[Label]) -> Iterator[Label]:
    """What is asked at the start and at stage ends; `at_ends` are the labels found at any, which
    say how domains that are not built in are asked."""
    evaluation = case.config.evaluation
    yield from _stream(case, "trained")
    if evaluation.probes:
        yield from _stream(case, "base")
        for domain, setting in case.settings.items():
            if not known(domain):
                yield from (label for label in at_ends if label[:2] == (domain, "harder"))
            elif (hardest := list(DOMAINS.load(domain).settings)[-1]) != setting:
                yield domain, "harder", hardest, "seed", "trained"
    for domain in case.outside if evaluation.retention_items else ():
        found = [label for label in at_ends if label[:2] == (domain, "retention")]
        easiest = next(iter(DOMAINS.load(domain).settings)) if known(domain) else "easiest"
        own = [(domain, "retention", easiest, "stated", "trained")]
        yield from own if known(domain) else found or own


def _stream(case: Case, weights: str) -> Iterator[Label]:
    for domain, setting in case.settings.items():
        for prompt in ("seed", "learner"):
            yield domain, "stream", setting, prompt, weights
