"""The command `cl-bench show`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument

from cl_bench.cli.options import ending


@ending()
def show(
    run: Annotated[
        Path, Argument(help="A run directory, a packed run, its URL, or a folder of runs.")
    ],
) -> None:
    """A run in the terminal: summary, learning curves, matrices, its prompts; unfinished ones too.

    Of a folder with several runs, a line for each. What is piped is plain text, 100 columns wide.
    """
    from cl_bench.report.show import show as shown
    from cl_bench.report.show import show_several
    from cl_bench.report.terminal import print_shown
    from cl_bench.store.run_tables import find_runs, open_run

    runs, broken = find_runs([run])
    if len(runs) + len(broken) > 1:
        print_shown((runs, broken), show_several)
        return
    print_shown(open_run(run), shown)
