"""Where a run was evaluated: every row of the grid that stream and configuration span, no other."""

from __future__ import annotations

from collections.abc import Iterator

from cl_bench.contract.registry import DOMAINS
from cl_bench.verify.case import LABEL, Case, known
from cl_bench.verify.manifest import FILE

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
        case.compare("evaluations", wrong, reason, frame[column], right)
    due = case.points if case.finished else [p for p in case.points if p.step <= _last(case)]
    for missing in [found for found in due if found.step not in case.evaluated]:
        case.findings.add(
            f"no evaluation at step {missing.step} ({missing.at} of stage {missing.stage})",
            table="evaluations",
        )


def ended(case: Case) -> None:
    """A run that did not come to its end was not evaluated there; one that diverged shows what."""
    last = case.ends[-1]
    if case.finished:
        return
    if last in case.evaluated:
        reason = (
            f"status is {case.status!r}, but the run was evaluated at step {last}, its last: it is "
            "done"
        )
        case.findings.add(reason, file=FILE)
    rows = len(case.tables["ledger"])
    if case.status == "diverged" and rows <= 2 * len(case.evaluated):
        reason = "status is 'diverged', but the tables have no stretch that diverged"
        case.findings.add(reason, file=FILE)


def grid(case: Case) -> None:
    """Every evaluation asked what the configuration says, and all of it."""
    frame = case.tables["evaluations"]
    boundary = {point.step: point.at != "inside" for point in case.points}
    label_of_row = frame[list(LABEL)].apply(tuple, axis=1)
    found: dict[int, set[Label]] = {}
    for step, label in zip(frame["step"].tolist(), label_of_row, strict=True):
        found.setdefault(step, set()).add(label)
    at_ends = set().union(*(labels for step, labels in found.items() if boundary.get(step)))
    inside, full = set(_stream(case, "trained")), set(_full(case, at_ends))
    for step, labels in sorted(found.items()):
        if step not in boundary:
            continue
        right = full if boundary[step] else inside
        for label in sorted(right - labels):
            key = f"step {step}, {', '.join(label)}"
            case.findings.add("the row is missing", table="evaluations", key=key)
        extra = frame["step"].eq(step) & ~label_of_row.isin(right)
        case.rows("evaluations", extra, "the configuration asks for no such row")


def _full(case: Case, at_ends: set[Label]) -> Iterator[Label]:
    """What is asked at the start and at stage ends; `at_ends` are the labels found at any."""
    yield from _stream(case, "trained")
    if case.option("evaluation", "probes"):
        yield from _stream(case, "base")
        yield from _harder(case, at_ends)
    yield from _retention(case, at_ends)


def _stream(case: Case, weights: str) -> Iterator[Label]:
    for domain, setting in case.settings.items():
        for prompt in ("seed", "learner"):
            yield domain, "stream", setting, prompt, weights


def _harder(case: Case, at_ends: set[Label]) -> Iterator[Label]:
    found = {label for label in at_ends if label[1] == "harder"}
    for domain, setting in case.settings.items():
        if not known(domain):
            yield from (label for label in found if label[0] == domain)
        elif (hardest := list(DOMAINS.load(domain).settings)[-1]) != setting:
            yield domain, "harder", hardest, "seed", "trained"


def _retention(case: Case, at_ends: set[Label]) -> Iterator[Label]:
    found = {label[0] for label in at_ends if label[1] == "retention"}
    if not case.option("evaluation", "retention_items"):
        return
    for domain in sorted(case.outside):
        if known(domain):
            yield (
                domain,
                "retention",
                next(iter(DOMAINS.load(domain).settings)),
                "stated",
                "trained",
            )
        elif domain in found:
            yield from (label for label in at_ends if label[:2] == (domain, "retention"))
        else:
            yield domain, "retention", "easiest", "stated", "trained"


def _last(case: Case) -> int:
    return case.evaluated[-1] if case.evaluated else -1
