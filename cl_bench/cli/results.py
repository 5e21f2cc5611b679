"""The commands `submit`, `results verify` and `results pack`. Imports lazily."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cl_bench.cli.endings import Errors

Name = typer.Option
Debug = Annotated[bool, Name("--debug", help="Show tracebacks.")]
AllowDirty = Annotated[
    bool, Name("--allow-dirty", help="Take runs of code that is in no commit; they are flagged.")
]

results_app = typer.Typer(help="Committed results: verify them, pack runs into them.")


def submit(
    run: Annotated[Path, typer.Argument(help="Directory of a finished run.")],
    out: Annotated[Path | None, Name(help=r"File to write \[STREAM-LEARNER-SEED.zip].")] = None,
    allow_dirty: AllowDirty = False,
    debug: Debug = False,
) -> None:
    """Verify a run and pack it into one file that another person can add to the results."""
    with Errors(debug):
        from cl_bench.report.terminal import echo
        from cl_bench.verify.submission.submit import submit as pack_run

        made = pack_run(run, out, allow_dirty=allow_dirty)
        echo(made.text())
        raise typer.Exit(0 if made.pack else 1)


@results_app.command("verify")
def verify(
    paths: Annotated[
        list[Path] | None, typer.Argument(help=r"Files or folders of results \[results].")
    ] = None,
    as_json: Annotated[bool, Name("--json", help="Print JSON, for machines.")] = False,
    debug: Debug = False,
) -> None:
    """Compute every stored number again; exit code 1 if one is another, 3 if a run is unchecked."""
    with Errors(debug):
        import json

        from cl_bench.verify.artefacts import verify as verified

        reports = []
        for report in verified(paths or [Path("results")]):
            reports.append(report)
            if not as_json:
                typer.echo(report.text())
        broken = sum(bool(report.findings) for report in reports)
        unchecked = sum(report.unchecked for report in reports)
        if as_json:
            fine = all(report.fine for report in reports)
            data = {"fine": fine, "artefacts": [report.data() for report in reports]}
            typer.echo(json.dumps(data, indent=2, allow_nan=False))
        else:
            left = f", {unchecked} unchecked" if unchecked else ""
            checked = len(reports) - unchecked
            typer.echo(f"{checked} verified, {broken or 'none'} with findings{left}.")
        raise typer.Exit(1 if broken else 3 if unchecked else 0)


@results_app.command("pack")
def pack(
    folder: Annotated[Path, typer.Argument(help="Folder of run directories.")],
    out: Annotated[Path, Name(help="Folder of packed runs.")] = Path("results/runs"),
    replace: Annotated[
        bool, Name("--replace", help="Put a run in the place of another pack of its name.")
    ] = False,
    allow_dirty: AllowDirty = False,
    debug: Debug = False,
) -> None:
    """Verify the runs of a folder and pack each into its place: STREAM/LEARNER-SEED-HASH.zip."""
    with Errors(debug, "What is packed is whole; the same command goes on."):
        from cl_bench.verify.submission.collect import pack_folder

        fates = []
        for outcome in pack_folder(folder, out, replace=replace, allow_dirty=allow_dirty):
            fates.append(outcome.fate)
            typer.echo(outcome.text())
        counted = ", ".join(f"{fates.count(fate)} {fate}" for fate in dict.fromkeys(fates))
        typer.echo(f"{counted}.")
        raise typer.Exit(1 if "refused" in fates else 0)
