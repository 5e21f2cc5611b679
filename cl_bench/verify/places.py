"""Where a run was evaluated: every row of the grid that stream and configuration span, no other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cl_bench.contract.registry import DOMAINS
from cl_bench.verify.checked_run import ROW, CheckedRun, known

Label = tuple[str, ...]
"""Values of the columns `LABEL`."""


def places(run: CheckedRun) -> None:
    """Steps, stages and places of `evaluations` are those of the stream, and so is their end."""
    frame = run.tables["evaluations"]
    point = {found.step: found for found in run.points}
    run.rows("evaluations", ~frame["step"].isin(point), "the run is not evaluated at this step")
    for column in ("stage", "at"):
        right = frame["step"].map({step: getattr(found, column) for step, found in point.items()})
        wrong = right.notna() & (frame[column] != right)
        reason = f"{column} is {{}}, but by the stream it is {{}}"
        run.rows("evaluations", wrong, reason, frame[column], right)
    for step, found in point.items():
        if step not in run.evaluated and (run.finished or step <= run.last):
            reason = f"no evaluation at step {step} ({found.at} of stage {found.stage})"
            run.of_table("evaluations", reason)


def ended(run: CheckedRun) -> None:
    """A run that did not come to its end was not evaluated there; one that diverged shows what."""
    if run.finished:
        return
    if (last := run.ends[-1]) in run.evaluated:
        run.of_manifest(
            f"status is {run.status!r}, but the run was evaluated at step {last}, its last: it is "
            "done"
        )
    if run.status == "diverged" and len(run.tables["ledger"]) <= 2 * len(run.evaluated):
        run.of_manifest("status is 'diverged', but the tables have no stretch that diverged")


def grid(run: CheckedRun) -> None:
    """Every evaluation asked what the configuration says, and all of it."""
    frame = run.tables["evaluations"]
    boundary = {point.step: point.at != "inside" for point in run.points}
    there = list(frame[list(ROW)].itertuples(index=False, name=None))
    at_ends = {row[1:] for row in there if boundary.get(row[0])}
    inside, full = [*_everywhere(run)], [*_full(run, at_ends)]
    due = {
        (step, *label)
        for step in run.evaluated
        if step in boundary
        for label in (full if boundary[step] else inside)
    }
    for step, *label in sorted(due.difference(there)):
        run.of_table(
            "evaluations", "the row is missing", f"step {step}, {', '.join(map(str, label))}"
        )
    extra = frame["step"].isin(boundary) & np.array([row not in due for row in there], bool)
    run.rows("evaluations", extra, "the configuration asks for no such row")


def _full(run: CheckedRun, at_ends: set[Label]) -> Iterator[Label]:
    """What is asked at the start and at stage ends; `at_ends` are the labels found at any, which
    say how domains that are not built in are asked."""
    evaluation = run.config.evaluation
    yield from _everywhere(run)
    if evaluation.greedy:
        yield from _own(run, "greedy", "trained")
    if evaluation.probes:
        yield from _own(run, "stream", "base")
        for domain, setting in run.settings.items():
            if not known(domain):
                yield from (label for label in at_ends if label[:2] == (domain, "harder"))
            elif (hardest := list(DOMAINS.load(domain).settings)[-1]) != setting:
                yield domain, "harder", hardest, "seed", "trained"
    for domain in run.outside if evaluation.retention_items else ():
        found = [label for label in at_ends if label[:2] == (domain, "retention")]
        easiest = next(iter(DOMAINS.load(domain).settings)) if known(domain) else "easiest"
        own = [(domain, "retention", easiest, "stated", "trained")]
        yield from own if known(domain) else found or own


def _everywhere(run: CheckedRun) -> Iterator[Label]:
    """What is asked at every evaluation."""
    yield from _own(run, "stream", "trained")
    if run.config.evaluation.validation_items:
        yield from _own(run, "validation", "trained")


def _own(run: CheckedRun, test_set: str, weights: str) -> Iterator[Label]:
    """The stream's domains under both prompts."""
    for domain, setting in run.settings.items():
        for prompt in ("seed", "learner"):
            yield domain, test_set, setting, prompt, weights
