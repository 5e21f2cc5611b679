"""The claims from beginning to end: their runs, their verdicts, the page about them.

    plan → the runs that are missing → tables, the archive's included → verdicts → page

`rebuild` makes the page from an archive alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cl_bench.claims import ablations, ablations_single, wording
from cl_bench.claims.archive import Archive, exists, joined, known_cells, write_archive
from cl_bench.claims.claim import JudgedClaim, draw_figures, judge_claim
from cl_bench.claims.data import Data
from cl_bench.claims.methods_section import noise_section
from cl_bench.claims.page import page
from cl_bench.claims.plan import Plan, plan
from cl_bench.claims.registered import CLAIMS, cells
from cl_bench.contract.errors import UsageError, at_least
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.blocks import Block
from cl_bench.report.blocks.drawings import Drawing
from cl_bench.report.blocks.write_html import html
from cl_bench.report.blocks.write_markdown import markdown
from cl_bench.store.files import replacing, write_text_atomically
from cl_bench.sweep.cell import Cell
from cl_bench.sweep.pool import Outcome, make_missing
from cl_bench.sweep.state import SETTLED, status, with_starts

ALL = tuple(claim.number for claim in CLAIMS)
FINDINGS = "findings.md"
"""In an archive's folder: what people found out about the results, in Markdown, with headings of
level 3 and below. The page includes it."""


@dataclass(frozen=True)
class Reproduction:
    """What came of the claims, and where the page about them is."""

    judged: tuple[JudgedClaim, ...]
    markdown: Path
    html: Path
    failed: tuple[Outcome, ...] = ()
    """Runs that were tried now and failed."""

    def text(self) -> str:
        """The verdicts as lines, for a terminal."""
        return "\n".join(line for one in self.judged for line in _lines(one))


def reproduce(
    claims: Sequence[int] = ALL,
    *,
    folder: Path,
    jobs: int,
    say: Callable[[str], None],
    out: Path | None = None,
    seeds: int | None = None,
    budget: str = "small",
    archive: Path | None = None,
    ablate: bool = False,
) -> Reproduction:
    """Make the runs of these claims that are missing in `folder`, judge them, write the page.

    With `ablate` the runs of the ablations too. Runs that are finished in `archive` are not made
    again, and all of them are packed into it, also when interrupted; its plan is then for their
    seeds too. A run that fails leaves its values undefined; the same call tries it again. The page
    is in `out`, by default `page_folder(budget)`. Raises `UsageError` for an unknown claim or
    budget, for numbers that are too small, and for an archive kept under another plan.
    """
    at_least(jobs=(jobs, 1))
    planned = plan(budget, seeds)
    kept = planned if archive is None else joined(planned, archive)
    wanted = cells(planned, claims)
    if ablate:
        wanted = list(dict.fromkeys([*wanted, *_ablated(planned)]))
    if archive is not None and not exists(archive):  # registered before the first run
        write_archive((), folder, archive, kept)
    failed = _make(wanted, folder, archive, kept, jobs=jobs, say=say)
    data = Data.of_runs(wanted, folder, _reasons(failed))
    packed = None if archive is None else Archive.read(archive)
    if packed is not None:
        data = data.merged(Data([packed.runs]))
    said = _page(claims, planned, data, packed, _findings(archive))
    return _write(said, out or page_folder(budget), failed)


def _make(
    wanted: Sequence[Cell],
    folder: Path,
    archive: Path | None,
    kept: Plan,
    *,
    jobs: int,
    say: Callable[[str], None],
) -> tuple[Outcome, ...]:
    """Make the missing runs and pack all of them under the plan `kept`; those that failed now."""
    failed: tuple[Outcome, ...] = ()
    try:
        known = _known(wanted, folder, archive)
        outcomes = make_missing(wanted, folder, jobs=jobs, say=say, known=known)
        failed = tuple(outcome for outcome in outcomes if outcome.status == "failed")
    finally:  # when interrupted, too: what is finished is worth keeping
        if archive is not None:
            write_archive(wanted, folder, archive, kept, failures=_reasons(failed))
    return failed


def _reasons(failed: Sequence[Outcome]) -> dict[str, str]:
    return {outcome.cell.name: outcome.reason for outcome in failed}


def rebuild(
    archive: Path,
    out: Path | None = None,
    claims: Sequence[int] = ALL,
    *,
    seeds: int | None = None,
    budget: str | None = None,
) -> Reproduction:
    """Write the page from an archive alone, under the plan that it was written with.

    `seeds` replaces those of that plan. The page is in `out`, by default `page_folder` of the
    plan's budget. `UsageError` for another `budget` than the archive's, of which it has no runs.
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
    said = _page(claims, planned, Data([packed.runs]), packed, _findings(archive))
    return _write(said, out or page_folder(planned.budget.name))


def _ablated(planned: Plan) -> list[Cell]:
    """The runs of all ablations; those of single domains are shorter and come first."""
    return [*ablations_single.cells(planned), *ablations.cells(planned)]


def _ablation_section(data: Data, planned: Plan) -> list[Block]:
    return [
        *ablations.section(ablations.rows(data, planned)),
        *ablations_single.section(ablations_single.rows(data, planned)),
    ]


@dataclass(frozen=True)
class _Page:
    """The page before it is written: verdicts, blocks, figures."""

    judged: tuple[JudgedClaim, ...]
    blocks: Sequence[Block]
    drawings: Mapping[str, Drawing]


def _page(
    claims: Sequence[int], planned: Plan, data: Data, packed: Archive | None, findings: str
) -> _Page:
    chosen = [claim for claim in CLAIMS if claim.number in claims]
    wanted, ablated = cells(planned, claims), _ablated(planned)
    more = [cell for cell in ablated if cell not in wanted]
    if all(status == "missing" for status in data.runs(more)["status"]):
        more, ablated = [], []  # the claims' own runs are no ablations
    judged = [judge_claim(claim, data, planned) for claim in chosen]
    drawings = draw_figures(chosen, data, planned)
    blocks = page(
        judged,
        planned,
        data,
        data.runs([*wanted, *more]),
        drawings,
        findings,
        _ablation_section(data, planned) if ablated else [],
        registered=None if packed is None else packed.registered,
    )
    return _Page(tuple(judged), [*blocks, *noise_section(data, planned)], drawings)


def _write(said: _Page, out: Path, failed: tuple[Outcome, ...] = ()) -> Reproduction:
    pictures = out / "claims"
    pictures.mkdir(parents=True, exist_ok=True)
    for name, drawing in said.drawings.items():
        for kind, content in (("png", drawing.png), ("svg", drawing.svg)):
            with replacing(pictures / f"{name}.{kind}") as temporary:
                temporary.write_bytes(content)
    written = Reproduction(said.judged, out / "claims.md", out / "claims.html", failed)
    write_text_atomically(written.markdown, markdown(said.blocks, pictures.name))
    write_text_atomically(written.html, html(said.blocks, said.drawings))
    return written


def page_folder(budget: str) -> Path:
    """Where the page of a budget goes if nobody says: a small one beside that which counts."""
    return Path("reports") if budget == "full" else Path("reports") / budget


def _known(wanted: Sequence[Cell], folder: Path, archive: Path | None) -> dict[str, str]:
    """The status of the archive's cells, but for those whose model a missing run starts from."""
    known = known_cells(archive) if archive is not None else {}
    for cell in reversed(with_starts(wanted)):  # a cell comes before the one it starts from
        if cell.start is not None and status(cell, folder, known) not in SETTLED:
            known.pop(cell.start.name, None)
    return known


def _findings(archive: Path | None) -> str:
    file = archive / FINDINGS if archive is not None else None
    return file.read_text(encoding="utf-8") if file is not None and file.exists() else ""


def _lines(one: JudgedClaim) -> Iterator[str]:
    yield f"{one.claim.number:>2}  {one.verdict:<15} {one.claim.title}"
    for each in one.primary:
        estimate = each.judgement.estimate
        value = wording.of_statement(each.statement, estimate)
        seeds = "" if isinstance(estimate, Undefined) else f", {wording.seeds(estimate)} seeds"
        yield f"{'':20}{each.statement.id} {value}{seeds} ({each.short})"
