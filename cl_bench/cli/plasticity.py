"""The command `cl-bench plasticity`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Exit, Option

from cl_bench.cli.console import echo
from cl_bench.cli.options import Quiet, ending, of_settings, with_settings
from cl_bench.cli.sweep import backend_in, display, seeds_in
from cl_bench.contract.text import printable
from cl_bench.sweep.backends.backend import BackendConfig


@ending("Finished probes are kept; go on with the same command.")
@with_settings(of_settings(BackendConfig))
def plasticity(
    runs: Annotated[list[Path], Argument(help="Runs made with --keep-stage-models.")],
    probe: Annotated[str, Option(help="Domain on which every model learns anew.")],
    steps: Annotated[int | None, Option(help="Steps of a probe; else the domain's.")] = None,
    seeds: Annotated[str | None, Option(help="Seeds such as 0,1,2; else each run's own.")] = None,
    learning_rate: Annotated[
        float | None, Option(help="Of all probes; else the first run's.")
    ] = None,
    problems_per_step: Annotated[
        int | None, Option(help="Of all probes; else the first run's.")
    ] = None,
    out: Annotated[Path, Option(help="Directory of the probes and the table.")] = Path(
        "results/plasticity"
    ),
    quiet: Quiet = False,
    **given: Any,
) -> None:
    """Can trained models still learn? Fresh RL from those that runs kept, and from their base."""
    from cl_bench.plasticity.probes import probe_plasticity

    found = probe_plasticity(
        runs,
        probe,
        out=out,
        on=backend_in(given),
        display=display(quiet),
        steps=steps,
        seeds=seeds_in(seeds),
        learning_rate=learning_rate,
        problems_per_step=problems_per_step,
    )
    echo(found.text())
    files = ", ".join(printable(str(path)) for path in found.write(out))
    echo(f"\nThe table: {files}; the probes: {printable(str(out / 'runs'))}")
    if found.failed:
        raise Exit(1)
