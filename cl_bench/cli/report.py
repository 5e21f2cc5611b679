"""The command `report`. Imports lazily."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from cl_bench.cli.console import echo
from cl_bench.cli.options import FigureStyle, Readers, ending, readers
from cl_bench.contract.errors import UsageError
from cl_bench.contract.text import counted, printable

_NAMED, _WIDTH = 10, 300
"""Problems that are named in the terminal, and the characters of one."""


@ending()
def report(
    runs: Annotated[list[Path], Argument(help="Runs, or folders or URLs with runs below them.")],
    out: Annotated[Path, Option(help="Directory for the page.")] = Path("results/report"),
    figures: Annotated[
        bool, Option("--figures/--no-figures", help="Also draw the figures as PNG and SVG.")
    ] = True,
    figure_style: FigureStyle = None,
    jobs: Readers = None,
) -> None:
    """Rank runs: print the boards, and write a page about them, as CSV and as LaTeX tables too."""
    from cl_bench.report.page.build import report as make
    from cl_bench.report.page.show_boards import show
    from cl_bench.report.terminal import print_shown
    from cl_bench.store.remote import require_folder

    require_folder("--out", out)
    if figure_style is not None and not figures:
        raise UsageError("--figure-style and --no-figures exclude each other: leave one out.")
    done = make(
        runs, out, figures=figures, jobs=readers(jobs), figure_style=figure_style or "screen"
    )
    found = done.contents
    what = (
        f"{counted(len(found.runs), 'run')} on {counted(len(found.boards), 'board')}",
        counted(len(found.problems), "problem"),
        counted(len(done.figures), "figure file"),
    )
    echo(f"{', '.join(what)}.")
    for problem in found.problems[:_NAMED]:
        where = found.local(str(problem.path))
        echo(f"  {printable(f'{where}: {problem.kind}: {problem.reason}', _WIDTH)}")
    if len(found.problems) > _NAMED:
        echo(f"  and {len(found.problems) - _NAMED} more, all on the page")
    print_shown(found, show)
    echo(f"\nThe page: {printable(str(done.html))}")
    others = ", ".join(path.name for path in (done.markdown, *done.numbers))
    echo(f"Beside it: {printable(others)}")
