"""Making a report: read runs, rank them, write the page, its Markdown twin and its figures."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cl_bench.contract.errors import RunDirectoryError
from cl_bench.report.blocks.drawings import SCREEN, Drawing, drawing, require_style, styled
from cl_bench.report.blocks.write_markdown import markdown
from cl_bench.report.board import RunProblem
from cl_bench.report.page.amount_figures import channels, cost, turnover
from cl_bench.report.page.board_record import DrawnBoard
from cl_bench.report.page.contents import RUNS_CSV, Contents, contents
from cl_bench.report.page.csv_files import boards_csv, runs_csv
from cl_bench.report.page.curve_figures import accuracy, divergence, efficiency, matrices
from cl_bench.report.page.hero import HERO, hero, hero_figure
from cl_bench.report.page.html import html
from cl_bench.report.page.latex import boards_latex
from cl_bench.report.page.markdown import blocks
from cl_bench.report.plasticity_tables import find_tables
from cl_bench.store.files import replacing, write_text_atomically
from cl_bench.store.remote import fetched
from cl_bench.store.run_tables import find_runs

if TYPE_CHECKING:
    from matplotlib.figure import Figure


FIGURES: Mapping[str, Callable[[DrawnBoard], Figure]] = {
    "accuracy": accuracy,
    "matrices": matrices,
    "accuracy-against-kl": divergence,
    "sample-efficiency": efficiency,
    "channels": channels,
    "turnover": turnover,
    "cost": cost,
}
"""By name, in the order in which the page shows them."""
UNDRAWN = "not drawn"
"""The kind of problem that a figure has."""


def draw(contents: Contents) -> tuple[dict[str, Drawing], list[RunProblem]]:
    """All figures by name, and those that failed."""
    found: dict[str, Drawing] = {}
    problems = []
    for name, make in _figures(contents):
        try:
            found[name] = drawing(make)
        except Exception as error:  # noqa: BLE001 a page without one figure is better than none
            problems.append(RunProblem(Path(name), UNDRAWN, f"{type(error).__name__}: {error}"))
    return found, problems


def _figures(contents: Contents) -> Iterator[tuple[str, Callable[[], Figure]]]:
    """Functions that make figures, by name: that at the top, and those of boards, which are called
    by the board's anchor, a dot, and what they show.

    Boards of one row compare nothing, and have figures only where all boards are such.
    """
    if (first := hero(contents)) is not None:
        yield HERO, partial(hero_figure, first)
    given = [board for board, _ in contents.shown]
    for board in [board for board in given if len(board.board.rows) > 1] or given:
        for what, make in board_figures(board):
            yield f"{board.anchor}.{what}", make


def board_figures(board: DrawnBoard) -> Iterator[tuple[str, Callable[[], Figure]]]:
    """Functions that make the figures of one board, by name; none without finished runs."""
    seen = board.seen
    lacking = set()
    if all(drawn.gains is None for _, _, drawn in seen):
        lacking.add("channels")
    if all(drawn.changes is None for _, _, drawn in seen):
        lacking.add("turnover")
    for name, make in FIGURES.items():
        if seen and name not in lacking:
            yield name, partial(make, board)


PICTURES = "figures"
"""The folder of the figures beside the page."""
_FIGURE = re.compile(rf"(board(-[a-z0-9]+)*\.[a-z-]+|{HERO})\.(png|svg|pdf)")
"""The names that figures have."""


@dataclass(frozen=True)
class ReportFiles:
    """The files that were written, and their contents."""

    html: Path
    markdown: Path
    numbers: tuple[Path, ...] = field(repr=False)
    """The boards as CSV and as LaTeX."""
    figures: tuple[Path, ...] = field(repr=False)
    contents: Contents = field(repr=False)


def report(
    paths: Iterable[Path],
    out: Path,
    *,
    figures: bool = True,
    jobs: int = 1,
    figure_style: str = SCREEN,
) -> ReportFiles:
    """Write `leaderboard.html`, `.md`, `.csv` and `.tex` into `out`, and figures below it; and
    `leaderboard-runs.csv` with all runs, where they are too many for the page.

    `paths` are runs, or folders or URLs with runs anywhere below them; a path without any is a
    `RunDirectoryError`, and so it is if none can be read. The same tables give the same bytes.
    Files that an earlier page left in `out` and that this one does not have are removed. Many runs
    are read by `jobs` processes. Figures for a paper, of another `figure_style` than screen, are
    written as PDF too; `UsageError` for one that there is not.
    """
    require_style(figure_style)
    given = [fetched(path) for path in paths]
    runs, unreadable = find_runs(given)
    found = contents(runs, unreadable, find_tables(given), jobs=jobs)
    if not found.runs:
        reasons = "; ".join(problem.reason for problem in found.problems)
        raise RunDirectoryError(f"None of the runs can be read: {reasons}")
    drawings: Mapping[str, Drawing] = {}
    if figures:
        with styled(figure_style):
            drawings, undrawn = draw(found)
        found = replace(found, problems=[*found.problems, *undrawn])
    page, twin = out / "leaderboard.html", out / "leaderboard.md"
    out.mkdir(parents=True, exist_ok=True)
    written = tuple(_written(out / PICTURES, drawings))
    _remove_others(out / PICTURES, written)
    write_text_atomically(twin, markdown(blocks(found, drawings), PICTURES))
    write_text_atomically(page, html(found))
    numbers = {"leaderboard.csv": boards_csv(found), "leaderboard.tex": boards_latex(found)}
    for name, text in numbers.items():
        write_text_atomically(out / name, text)
    if found.cut:
        write_text_atomically(out / RUNS_CSV, runs_csv(found))
    else:
        (out / RUNS_CSV).unlink(missing_ok=True)
    return ReportFiles(page, twin, tuple(out / name for name in numbers), written, found)


def _written(folder: Path, drawings: Mapping[str, Drawing]) -> Iterable[Path]:
    for name, drawn in drawings.items():
        folder.mkdir(exist_ok=True)
        for kind, content in drawn.files.items():
            path = folder / f"{name}.{kind}"
            with replacing(path) as temporary:
                temporary.write_bytes(content)
            yield path


def _remove_others(folder: Path, written: Collection[Path]) -> None:
    """Remove figures of boards that are not among the `written`, and nothing else."""
    for path in folder.glob("*"):
        if _FIGURE.fullmatch(path.name) and path not in written:
            path.unlink()
