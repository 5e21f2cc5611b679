"""The command `cl-bench compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cl_bench.cli_errors import Errors

Name = typer.Option


def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="A run, or a folder with one a seed.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="What is compared with it.")],
    as_json: Annotated[bool, Name("--json", help="Print JSON, for machines.")] = False,
    anyway: Annotated[
        bool, Name("--anyway", help="Show numbers of runs that do not compare.")
    ] = False,
    debug: Annotated[bool, Name("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Two learners, paired by seed: differences with intervals, tests, problems won and lost."""
    with Errors(debug):
        from cl_bench.report import comparison, comparison_json, show_comparison
        from cl_bench.report.terminal import print_shown

        found = comparison.compare(first, second, anyway=anyway)
        if as_json:
            typer.echo(comparison_json.as_json(found))
        else:
            print_shown(found, show_comparison.show)
