"""The command `cl-bench show`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument

from cl_bench.cli.options import ending


@ending()
def show(
    run: Annotated[Path, Argument(help="A run directory or a packed run.")],
) -> None:
    """A run in the terminal: summary, learning curves, matrices, its prompts; unfinished ones too.

    What is piped is plain text, 100 columns wide.
    """
    from cl_bench.report.show import show as shown
    from cl_bench.report.terminal import print_shown
    from cl_bench.store.run_tables import open_run

    print_shown(open_run(run), shown)
