"""The claims from beginning to end: their runs, their verdicts, the page about them.

    plan → the runs that are missing → tables, the archive's included → verdicts → page

`rebuild` makes the page from an archive alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cl_bench.claims import ablations, wording
from cl_bench.claims.archive import Archive, exists, joined, known_cells, write_archive
from cl_bench.claims.claim import JudgedClaim, draw_figures, judge_claim
from cl_bench.claims.data import Data, in_directories
from cl_bench.claims.forest import draw_forest
from cl_bench.claims.methods_section import noise_section
from cl_bench.claims.page import page
from cl_bench.claims.plan import Plan, plan
from cl_bench.claims.registered import cells, claims_of
from cl_bench.claims.subject import EMBEDDED
from cl_bench.contract.errors import UsageError
from cl_bench.report.blocks.write_html import html
from cl_bench.report.blocks.write_markdown import markdown
from cl_bench.store.files import replacing, write_text_atomically
from cl_bench.sweep import state
from cl_bench.sweep.backends.backend import BackendConfig, CellOutcome
from cl_bench.sweep.cell import Cell
from cl_bench.sweep.display import Display
from cl_bench.sweep.pool import make_missing

FINDINGS = "findings.md"
"""In an archive's folder: what people found out about the results, in Markdown, with headings of
level 3 and below. The page includes it."""


@dataclass(frozen=True)
class Reproduction:
    """The claims' verdicts, and where the page about them is."""

    judged: tuple[JudgedClaim, ...]
    markdown: Path
    html: Path
    failed: tuple[CellOutcome, ...] = ()
    """Runs that were tried now and failed."""

    def text(self) -> str:
        """The verdicts as lines, for a terminal."""
        return "\n".join(line for one in self.judged for line in _lines(one))


def reproduce(
    planned: Plan,
    claims: Sequence[int] | None = None,
    *,
    folder: Path,
    on: BackendConfig,
    display: Display,
    out: Path | None = None,
    archive: Path | None = None,
    ablate: bool = False,
) -> Reproduction:
    """Make the runs of these claims that are missing in `folder`, judge them, write the page.

    By default all claims that can be asked of the plan's subject. With `ablate` the runs of the
    ablations too. Runs that are finished in `archive` are not made again, and all of them are
    packed into it, also when interrupted; its plan is then for their seeds too. A run that fails
    leaves its values undefined; the same call tries it again. The page is in `out`, by default
    `page_folder`. Raises `UsageError` for an unknown claim, for ablations where there are none, and
    for an archive kept under another plan.
    """
    claims = planned.subject.claims if claims is None else claims
    wanted = _wanted(planned, claims, ablate)
    kept = planned if archive is None else joined(planned, archive)
    if archive is not None and not exists(archive):  # registered before the first run
        write_archive((), folder, archive, kept)
    failed = _make(wanted, folder, archive, kept, on=on, display=display)
    here = in_directories(wanted, folder, _reasons(failed))
    packed = None if archive is None else Archive.read(archive)
    data = Data([here] if packed is None else [here, packed.runs])
    return _write(claims, planned, data, out, archive, packed, failed)


def outlook(
    planned: Plan,
    claims: Sequence[int] | None = None,
    *,
    folder: Path,
    archive: Path | None = None,
    ablate: bool = False,
) -> Iterator[tuple[Cell, str]]:
    """Yield each run that `reproduce` would look at, and what it would do about it."""
    wanted = _wanted(planned, planned.subject.claims if claims is None else claims, ablate)
    if archive is not None:
        joined(planned, archive)
    yield from state.outlook(wanted, folder, _known(wanted, folder, archive))


def _wanted(planned: Plan, claims: Sequence[int], ablate: bool) -> list[Cell]:
    wanted = cells(planned, claims)
    if not ablate:
        return wanted
    if planned.subject is not EMBEDDED:
        raise UsageError(f"There are no ablations on {planned.model}: leave --ablations out.")
    return list(dict.fromkeys([*wanted, *ablations.cells(planned)]))


def _make(
    wanted: Sequence[Cell],
    folder: Path,
    archive: Path | None,
    kept: Plan,
    *,
    on: BackendConfig,
    display: Display,
) -> tuple[CellOutcome, ...]:
    """Make the missing runs and pack all of them under the plan `kept`; those that failed now."""
    failed: tuple[CellOutcome, ...] = ()
    try:
        known = _known(wanted, folder, archive)
        outcomes = make_missing(wanted, folder, on=on, display=display, known=known)
        failed = tuple(outcome for outcome in outcomes if outcome.status == "failed")
    finally:  # when interrupted, too: what is finished is worth keeping
        if archive is not None:
            write_archive(wanted, folder, archive, kept, failures=_reasons(failed))
    return failed


def _reasons(failed: Sequence[CellOutcome]) -> dict[str, str]:
    return {outcome.cell.name: outcome.reason for outcome in failed}


def rebuild(
    archive: Path,
    out: Path | None = None,
    claims: Sequence[int] | None = None,
    *,
    seeds: int | None = None,
    budget: str | None = None,
) -> Reproduction:
    """Write the page from an archive alone, under the plan that it was written with.

    `seeds` replaces those of that plan. The page is in `out`, by default its `page_folder`.
    `UsageError` for another `budget` than the archive's, of which it has no runs.
    """
    packed = Archive.read(archive)
    planned = packed.plan
    if budget not in (None, planned.budget.name):
        raise UsageError(
            f"The archive {archive} holds runs of the budget {planned.budget.name}, and none of "
            f"{budget}. Leave --budget out."
        )
    if seeds is not None:
        planned = plan(planned.budget.name, seeds, planned.model, planned.settings)
    claims = planned.subject.claims if claims is None else claims
    return _write(claims, planned, Data([packed.runs]), out, archive, packed)


def _write(
    claims: Sequence[int],
    planned: Plan,
    data: Data,
    out: Path | None,
    archive: Path | None,
    packed: Archive | None,
    failed: tuple[CellOutcome, ...] = (),
) -> Reproduction:
    """Judge the claims on the runs in `data`, and write the page about them and its figures."""
    asked = claims_of(planned.subject)
    chosen = [claim for claim in asked if claim.registered.number in claims]
    judged = tuple(judge_claim(claim, data, planned) for claim in chosen)
    drawings = {**draw_forest(judged), **draw_figures(chosen, data, planned)}
    wanted = cells(planned, claims)
    ablations_of = ablations.cells(planned) if planned.subject is EMBEDDED else []
    more = [cell for cell in ablations_of if cell not in wanted]
    ablated = any(status != "missing" for status in data.runs(more)["status"])
    blocks = page(
        judged,
        planned,
        data,
        data.runs([*wanted, *more] if ablated else wanted),
        drawings,
        _findings(archive),
        ablations.section(data, planned) if ablated else [],
        registered=None if packed is None else packed.registered,
    )
    blocks += noise_section(data, planned)
    folder = out or page_folder(planned)
    pictures = folder / "claims"
    pictures.mkdir(parents=True, exist_ok=True)
    for name, drawing in drawings.items():
        for kind, content in drawing.files.items():
            with replacing(pictures / f"{name}.{kind}") as temporary:
                temporary.write_bytes(content)
    written = Reproduction(judged, folder / "claims.md", folder / "claims.html", failed)
    write_text_atomically(written.markdown, markdown(blocks, pictures.name))
    write_text_atomically(written.html, html(blocks, drawings))
    return written


def page_folder(plan: Plan) -> Path:
    """Where a page goes if nobody says: other models, and small ones, beside that which counts."""
    budget, model = plan.budget.name, plan.model
    parts = ("" if model == EMBEDDED.model else model, "" if budget == "full" else budget)
    return Path("reports", *filter(None, parts))


def _known(wanted: Sequence[Cell], folder: Path, archive: Path | None) -> dict[str, str]:
    """The status of the archive's cells, but for those whose model a missing run starts from."""
    known = known_cells(archive) if archive is not None else {}
    for cell in reversed(state.with_starts(wanted)):  # a cell comes before the one it starts from
        if cell.start is not None and state.status(cell, folder, known) not in state.SETTLED:
            known.pop(cell.start.name, None)
    return known


def _findings(archive: Path | None) -> str:
    file = archive / FINDINGS if archive is not None else None
    return file.read_text(encoding="utf-8") if file is not None and file.exists() else ""


def _lines(one: JudgedClaim) -> Iterator[str]:
    yield f"{one.claim.registered.number:>2}  {one.verdict:<15} {one.claim.registered.title}"
    for each in one.primary:
        value = wording.of_seeds(each.statement, each.judgement.estimate)
        yield f"{'':20}{each.statement.id} {value} ({each.short})"
