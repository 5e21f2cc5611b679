"""The commands `cl-bench reference record` and `cl-bench reference rerun`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option, Typer

from cl_bench.cli.console import OneLineGroup, echo
from cl_bench.cli.help import HelpedCommand
from cl_bench.cli.options import ending
from cl_bench.cli.sweep import seeds_in, teller
from cl_bench.contract.text import counted, printable

reference = Typer(cls=OneLineGroup, help="References that candidates are held against.")


@reference.command(cls=HelpedCommand)
@ending()
def record(
    runs: Annotated[list[Path], Argument(help="Finished runs, or folders of runs.")],
    out: Annotated[Path, Option(help="Folder for the reference.")],
    policy: Annotated[
        Path | None, Option(help="TOML file; else that of the one replaced, else the default.")
    ] = None,
    replace: Annotated[bool, Option("--replace", help="Replace the reference in --out.")] = False,
    installed: Annotated[
        bool,
        Option("--installed", help="Accept runs of an installed cl-bench: no commit is known."),
    ] = False,
) -> None:
    """Write runs as a reference; only runs of one commit with a clean tree."""
    from cl_bench.gate.reference import record as record_runs
    from cl_bench.metrics.quantities import BYTES
    from cl_bench.store.remote import require_local

    require_local("--out", out)
    found = record_runs(runs, out, policy=policy, replace=replace, installed=installed)
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    echo(
        f"{counted(len(found.runs), 'run')}, {BYTES.text(size)}, in {printable(str(out))}. "
        f"Check with: cl-bench check CANDIDATE --against {printable(str(out))}"
    )


@reference.command(cls=HelpedCommand)
@ending()
def rerun(
    path: Annotated[Path, Argument(help="The reference.", metavar="REFERENCE")],
    out: Annotated[Path, Option(help="Folder for the new runs.")],
    seeds: Annotated[str | None, Option(help="Seeds such as 0,1,2; else all of them.")] = None,
    quiet: Annotated[bool, Option("--quiet", help="Say nothing.")] = False,
) -> None:
    """Make the runs of a reference again, with the code of today: a candidate."""
    from cl_bench.gate.reference import rerun as make_again

    made = make_again(path, out, seeds=seeds_in(seeds), say=teller(quiet))
    if not quiet:
        echo(
            f"{counted(len(made), 'run')}. Check with: "
            f"cl-bench check {printable(str(out))} --against {printable(str(path))}"
        )
