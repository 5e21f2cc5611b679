"""The command `cl-bench plasticity`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cl_bench.cli.endings import Errors
from cl_bench.cli.sweep import seeds_in
from cl_bench.contract.text import printable

Name = typer.Option


def plasticity(
    runs: Annotated[list[Path], typer.Argument(help="Runs made with --keep-stage-models.")],
    probe: Annotated[str, Name(help="Domain on which every model learns anew.")],
    steps: Annotated[int | None, Name(help="Steps of a probe; else the domain's.")] = None,
    seeds: Annotated[str | None, Name(help="Seeds such as 0,1,2; else each run's own.")] = None,
    learning_rate: Annotated[
        float | None, Name(help="Of all probes; else the first run's.")
    ] = None,
    problems_per_step: Annotated[
        int | None, Name(help="Of all probes; else the first run's.")
    ] = None,
    jobs: Annotated[int | None, Name(help="Probes at a time; else one a core.")] = None,
    out: Annotated[Path, Name(help="Directory of the probes and the table.")] = Path(
        "results/plasticity"
    ),
    quiet: Annotated[bool, Name("--quiet", help="Print the table only.")] = False,
    debug: Annotated[bool, Name("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Can trained models still learn? Fresh RL from those that runs kept, and from their base."""
    go_on = "Finished probes are kept; go on with the same command."
    with Errors(debug, go_on):
        from cl_bench.execution.machine import cores
        from cl_bench.plasticity.probes import probe_plasticity
        from cl_bench.report.terminal import echo

        found = probe_plasticity(
            runs,
            probe,
            out=out,
            jobs=cores() if jobs is None else jobs,
            say=lambda line: None if quiet else typer.echo(printable(line), err=True),
            steps=steps,
            seeds=seeds_in(seeds),
            learning_rate=learning_rate,
            problems_per_step=problems_per_step,
        )
        echo(found.text())
        files = ", ".join(printable(str(path)) for path in found.write(out))
        typer.echo(f"\nThe table: {files}; the probes: {printable(str(out / 'runs'))}")
        if found.failed:
            raise typer.Exit(1)
