"""The commands `cl-bench reference record` and `cl-bench reference rerun`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cl_bench.cli.endings import Errors
from cl_bench.cli.sweep import seeds_in
from cl_bench.contract.text import printable

Name = typer.Option
reference = typer.Typer(help="References that candidates are held against.")


@reference.command()
def record(
    runs: Annotated[list[Path], typer.Argument(help="Finished runs, or folders of runs.")],
    out: Annotated[Path, Name(help="Folder for the reference.")],
    policy: Annotated[
        Path | None, Name(help="TOML file; else that of the one replaced, else the default.")
    ] = None,
    replace: Annotated[bool, Name("--replace", help="Replace the reference in --out.")] = False,
    installed: Annotated[
        bool, Name("--installed", help="Accept runs of an installed cl-bench: no commit is known.")
    ] = False,
    debug: Annotated[bool, Name("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Write runs as a reference; only runs of one commit with a clean tree."""
    with Errors(debug):
        from cl_bench.gate.reference import record as record_runs
        from cl_bench.metrics.quantities import BYTES

        found = record_runs(runs, out, policy=policy, replace=replace, installed=installed)
        size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
        typer.echo(
            f"{len(found.runs)} runs, {BYTES.text(size)}, in {printable(str(out))}. Check with: "
            f"cl-bench check CANDIDATE --against {printable(str(out))}"
        )


@reference.command()
def rerun(
    path: Annotated[Path, typer.Argument(help="The reference.", metavar="REFERENCE")],
    out: Annotated[Path, Name(help="Folder for the new runs.")],
    seeds: Annotated[str | None, Name(help="Seeds such as 0,1,2; else all of them.")] = None,
    quiet: Annotated[bool, Name("--quiet", help="Say nothing.")] = False,
    debug: Annotated[bool, Name("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Make the runs of a reference again, with the code of today: a candidate."""
    with Errors(debug):
        from cl_bench.gate.rerun import rerun as make_again

        def say(line: str) -> None:
            if not quiet:
                typer.echo(printable(line), err=True)

        made = make_again(path, out, seeds=seeds_in(seeds), say=say)
        if not quiet:
            typer.echo(
                f"{len(made)} runs. Check them with: "
                f"cl-bench check {printable(str(out))} --against {printable(str(path))}"
            )
