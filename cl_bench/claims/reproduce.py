"""The claims from beginning to end: their runs, their verdicts, the page about them.

    plan → the runs that are missing → tables, the archive's included → verdicts → page

`rebuild` makes the page from an archive alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cl_bench.claims import ablations, ablations_single, wording
from cl_bench.claims import archive as archives
from cl_bench.claims.archive import Archive, write_archive
from cl_bench.claims.data import Data
from cl_bench.claims.drawings import draw
from cl_bench.claims.judged import JudgedClaim, judge_claims
from cl_bench.claims.noise import noise_section
from cl_bench.claims.page import page
from cl_bench.claims.page_ablations import ablation_section
from cl_bench.claims.plan import Plan, cells, plan
from cl_bench.claims.registered import CLAIMS
from cl_bench.claims.registration import registration
from cl_bench.claims.saved_plan import as_dict, from_dict, joined
from cl_bench.claims.write_html import html
from cl_bench.claims.write_markdown import markdown
from cl_bench.errors import at_least
from cl_bench.files import replacing, write_text_atomically
from cl_bench.metrics.undefined import Undefined
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
        wanted = list(dict.fromkeys([*wanted, *ablations_single.cells(planned), *ablations.cells(planned)]))
    known = _known(wanted, folder, archive)
    failures: dict[str, str] = {}
    try:
        outcomes = make_missing(wanted, folder, jobs=jobs, say=say, known=known)
        failed = tuple(outcome for outcome in outcomes if outcome.status == "failed")
        failures |= {outcome.cell.name: outcome.reason for outcome in failed}
    finally:  # when interrupted, too: what is finished is worth keeping
        if archive is not None:
            first = registration(planned)
            saved = as_dict(kept)
            write_archive(wanted, folder, archive, plan=saved, registered=first, failures=failures)
    data = Data.of_runs(wanted, folder, failures)
    if archive is not None:
        data = data.merged(Data.of_archive(archive))
    return _write(claims, planned, data, out, archive, failed)


def rebuild(
    archive: Path,
    out: Path | None = None,
    claims: Sequence[int] = ALL,
    *,
    seeds: int | None = None,
    budget: str | None = None,
) -> Reproduction:
    """Write the page from an archive alone, under the plan that it was written with.

    `seeds` and `budget` replace those of that plan. The page is in `out`, by default
    `page_folder` of the plan's budget.
    """
    saved = Archive.read(archive).plan
    planned = plan(budget or "small", seeds) if saved is None else from_dict(saved, archive)
    if saved is not None and (budget or seeds is not None):
        count = len(planned.seeds) if seeds is None else seeds
        planned = plan(budget or planned.budget.name, count, planned.model, planned.settings)
    return _write(claims, planned, Data.of_archive(archive), out, archive)


def _write(
    claims: Sequence[int],
    planned: Plan,
    data: Data,
    folder: Path | None,
    archive: Path | None,
    failed: tuple[Outcome, ...] = (),
) -> Reproduction:
    from cl_bench.claims.figures import FIGURES
    from cl_bench.claims.measures import MEASURES

    chosen = [claim for claim in CLAIMS if claim.number in claims]
    wanted, ablated = cells(planned, claims), ablations.cells(planned)
    more = [cell for cell in ablated if cell not in wanted]
    if all(status == "missing" for status in data.runs(more)["status"]):
        more, ablated = [], []  # the claims' own runs are no ablations
    runs = data.runs([*wanted, *more])
    judged = judge_claims(chosen, data, planned, MEASURES)
    drawings = draw(chosen, FIGURES, data, planned)
    more_sections = ablation_section(ablations.rows(data, planned)) if ablated else []
    blocks = page(
        judged,
        planned,
        data,
        runs,
        drawings,
        _findings(archive),
        more_sections,
        registered=Archive.read(archive).registered if archive is not None else None,
    )
    blocks += noise_section(data, planned)
    out = page_folder(planned.budget.name) if folder is None else folder
    pictures = out / "claims"
    pictures.mkdir(parents=True, exist_ok=True)
    for name, drawing in drawings.items():
        for kind, content in (("png", drawing.png), ("svg", drawing.svg)):
            with replacing(pictures / f"{name}.{kind}") as temporary:
                temporary.write_bytes(content)
    written = Reproduction(tuple(judged), out / "claims.md", out / "claims.html", failed)
    write_text_atomically(written.markdown, markdown(blocks, pictures.name))
    write_text_atomically(written.html, html(blocks, drawings))
    return written


def page_folder(budget: str) -> Path:
    """Where the page of a budget goes if nobody says: a small one beside that which counts."""
    return Path("reports") if budget == "full" else Path("reports") / budget


def _known(wanted: Sequence[Cell], folder: Path, archive: Path | None) -> dict[str, str]:
    """The status of the archive's cells, but for those whose model a missing run starts from."""
    known = archives.known_cells(archive) if archive is not None else {}
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
        yield f"{'':20}{each.statement.id} {value}{seeds} ({wording.short(each.statement)})"
