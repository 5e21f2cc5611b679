"""The command `report`. Imports lazily."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cl_bench.cli_errors import Errors
from cl_bench.text import printable

Name = typer.Option


def report(
    runs: Annotated[list[Path], typer.Argument(help="Runs, or folders with runs below them.")],
    out: Annotated[Path, Name(help="Directory for the page.")] = Path("reports"),
    figures: Annotated[
        bool, Name("--figures/--no-figures", help="Also draw the figures as PNG and SVG.")
    ] = True,
    debug: Annotated[bool, Name("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Rank runs and write a page about them: leaderboard, figures, every run, from tables alone."""
    with Errors(debug):
        from cl_bench.report.page.build import report as make

        done = make(runs, out, figures=figures)
        boards = len(done.contents.boards)
        typer.echo(
            f"{len(done.contents.runs)} runs on {boards} board{'' if boards == 1 else 's'}, "
            f"{len(done.contents.problems)} problems, {len(done.figures)} figure files."
        )
        typer.echo(f"The page: {printable(str(done.html))} and {printable(str(done.markdown))}")
