"""The command `cl-bench show`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from cl_bench.cli.console import echo
from cl_bench.cli.options import FigureStyle, ending
from cl_bench.contract.errors import RunDirectoryError, UsageError
from cl_bench.contract.text import counted, printable


@ending()
def show(
    run: Annotated[
        Path, Argument(help="A run directory, a packed run, its URL, or a folder of runs.")
    ],
    figures: Annotated[
        Path | None, Option(help="Also draw its figures into this folder: PNG, SVG and PDF.")
    ] = None,
    figure_style: FigureStyle = None,
) -> None:
    """A run in the terminal: summary, learning curves, matrices, its prompts; unfinished ones too.

    Of a folder with several runs, a line for each. What is piped is plain text, 100 columns wide.
    """
    from cl_bench.report.blocks.drawings import SCREEN, require_style
    from cl_bench.report.show import show as shown
    from cl_bench.report.show import show_several
    from cl_bench.report.terminal import print_shown
    from cl_bench.store.remote import require_folder
    from cl_bench.store.run_tables import find_runs, open_run

    if figure_style is not None and figures is None:
        raise UsageError(
            f"--figure-style is {printable(repr(figure_style), 100)}, but no figures are asked "
            "for: add --figures FOLDER."
        )
    require_folder("--figures", figures)
    style = figure_style or SCREEN
    require_style(style)
    runs, broken = find_runs([run])
    if len(runs) + len(broken) > 1:
        if not runs:
            raise RunDirectoryError(f"None of the runs can be read: {broken[0].reason}")
        if figures is not None:
            raise UsageError(
                f"{printable(str(run), 100)} has several runs: --figures draws those of one, "
                "`cl-bench report` those of a board."
            )
        print_shown((runs, broken), show_several)
        return
    found = runs[0] if runs else open_run(run)  # which says what is wrong with it
    print_shown(found, shown)
    if figures is not None:
        from cl_bench.report.figures import write_figures

        written = write_figures(found, figures, figure_style=style)
        echo(f"\n{counted(len(written), 'figure file')}: {printable(str(figures))}")
