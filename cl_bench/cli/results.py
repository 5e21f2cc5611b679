"""The commands `submit`, `results verify` and `results pack`. Imports lazily."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Exit, Option, Typer

from cl_bench.cli.console import OneLineGroup, echo
from cl_bench.cli.help import HelpedCommand
from cl_bench.cli.options import Json, Readers, ending, readers

AllowDirty = Annotated[
    bool, Option("--allow-dirty", help="Take runs of code that is in no commit; they are flagged.")
]

results_app = Typer(cls=OneLineGroup, help="Committed results: verify them, pack runs into them.")


@ending()
def submit(
    run: Annotated[Path, Argument(help="Directory of a finished run.")],
    out: Annotated[Path | None, Option(help="File to write [STREAM-LEARNER-SEED.zip].")] = None,
    allow_dirty: AllowDirty = False,
) -> None:
    """Verify a run and pack it into one file that another person can add to the results."""
    from cl_bench.store.remote import require_folder, require_local
    from cl_bench.verify.submission import submit as pack_run

    if out is not None:
        require_local("--out", out)
        require_folder("--out", out.parent)
    made = pack_run(run, out, allow_dirty=allow_dirty)
    echo(made.text())
    raise Exit(0 if made.pack else 1)


@results_app.command("verify", cls=HelpedCommand)
@ending()
def verify(
    paths: Annotated[
        list[Path] | None, Argument(help="Files or folders of results [results].")
    ] = None,
    jobs: Readers = None,
    as_json: Json = False,
) -> None:
    """Compute every stored number again; exit code 1 if one is another, 3 if a run is unchecked."""
    import json

    from cl_bench.claims.calibration import TRIALS, verify_calibration
    from cl_bench.verify.run import verify as verified

    fine = broken = unchecked = 0
    artefacts = []
    trials = {TRIALS.name: verify_calibration}
    for report in verified(paths or [Path("results")], trials, jobs=readers(jobs)):
        fine += report.fine
        broken += bool(report.findings)
        unchecked += report.unchecked
        if as_json:
            artefacts.append(report.data())
        else:
            echo(report.text())
    if as_json:
        data = {"fine": not broken + unchecked, "artefacts": artefacts}
        echo(json.dumps(data, indent=2, allow_nan=False))
    else:
        left = f", {unchecked} unchecked" if unchecked else ""
        echo(f"{fine + broken} verified, {broken or 'none'} with findings{left}.")
    raise Exit(1 if broken else 3 if unchecked else 0)


@results_app.command("pack", cls=HelpedCommand)
@ending("What is packed is whole; the same command goes on.")
def pack(
    folder: Annotated[Path, Argument(help="Folder of run directories.")],
    out: Annotated[Path, Option(help="Folder of packed runs.")] = Path("results/runs"),
    replace: Annotated[
        bool, Option("--replace", help="Put a run in the place of another pack of its name.")
    ] = False,
    allow_dirty: AllowDirty = False,
) -> None:
    """Verify the runs of a folder and pack each into its place: STREAM/LEARNER-SEED-HASH.zip."""
    from cl_bench.store.remote import require_folder
    from cl_bench.verify.submission import pack_folder

    require_folder("--out", out)
    fates = []
    for outcome in pack_folder(folder, out, replace=replace, allow_dirty=allow_dirty):
        fates.append(outcome.fate)
        echo(outcome.text())
    counted = ", ".join(f"{fates.count(fate)} {fate}" for fate in dict.fromkeys(fates))
    echo(f"{counted}.")
    raise Exit(1 if "refused" in fates else 0)
