"""The command `cl-bench show`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from cl_bench.cli.console import echo
from cl_bench.cli.options import FigureStyle, ending
from cl_bench.contract.errors import UsageError
from cl_bench.contract.text import counted, printable


@ending()
def show(
    run: Annotated[Path, Argument(help="A run directory or a packed run.")],
    figures: Annotated[
        Path | None, Option(help="Also draw its figures into this folder: PNG, SVG and PDF.")
    ] = None,
    figure_style: FigureStyle = None,
) -> None:
    """A run in the terminal: summary, learning curves, matrices, its prompts; unfinished ones too.

    What is piped is plain text, 100 columns wide.
    """
    from cl_bench.report.show import show as shown
    from cl_bench.report.terminal import print_shown
    from cl_bench.store.run_tables import open_run

    if figure_style is not None and figures is None:
        raise UsageError(
            f"--figure-style is {printable(repr(figure_style), 100)}, but no figures are asked "
            "for: add --figures FOLDER."
        )
    found = open_run(run)
    print_shown(found, shown)
    if figures is not None:
        from cl_bench.report.figures import write_figures
        from cl_bench.store.remote import require_local

        require_local("--figures", figures)
        written = write_figures(found, figures, figure_style=figure_style or "screen")
        echo(f"\n{counted(len(written), 'figure file')}: {printable(str(figures))}")
