"""The commands `reproduce` and `calibrate`. Imports lazily."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from typer import Exit, Option

from cl_bench.cli.console import echo
from cl_bench.cli.options import Quiet, ending, of_settings, with_settings
from cl_bench.cli.sweep import (
    KEPT,
    DryRun,
    backend_in,
    display,
    say_failed,
    say_outlook,
    words,
)
from cl_bench.contract.errors import UsageError
from cl_bench.contract.text import printable
from cl_bench.model.named import EMBEDDED
from cl_bench.sweep.backends.backend import BackendConfig


@ending(KEPT)
@with_settings(of_settings(BackendConfig))
def reproduce(
    claims: Annotated[str | None, Option(help="Numbers, as in 1,3 (all).")] = None,
    model: Annotated[
        str | None, Option(help="The model to try them on: embedded or smollm2 (embedded).")
    ] = None,
    seeds: Annotated[int | None, Option(help="Seeds; verdicts need six (the budget's).")] = None,
    budget: Annotated[str | None, Option(help="small or full (small).")] = None,
    runs: Annotated[Path, Option(help="Directory for the runs.")] = Path("results/claims-runs"),
    out: Annotated[
        Path | None, Option(help="Directory for the page (reports; reports/small for small).")
    ] = None,
    source: Annotated[
        Path | None, Option("--from", help="Make the page from this archive, and no run.")
    ] = None,
    archive: Annotated[
        Path | None,
        Option(help="Pack the runs into this directory, kept under one plan; use those."),
    ] = None,
    ablations: Annotated[bool, Option("--ablations", help="Make their runs too; hours.")] = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    **given: Any,
) -> None:
    """Try the claims of fast-slow training again; print verdicts, write a page about them."""
    from cl_bench.claims import reproduce as claimed
    from cl_bench.claims.plan import plan
    from cl_bench.store.remote import require_folder

    require_folder("--out", out)
    chosen = None if claims is None else _claims(claims)
    if source is None:
        planned = plan(budget or "small", seeds, model or EMBEDDED)
        if dry_run:
            say_outlook(
                claimed.outlook(planned, chosen, folder=runs, archive=archive, ablate=ablations)
            )
            return
        done = claimed.reproduce(
            planned,
            chosen,
            folder=runs,
            out=out,
            on=backend_in(given),
            display=display(quiet),
            archive=archive,
            ablate=ablations,
        )
    elif (
        backend_in(given) != BackendConfig()
        or (archive, model) != (None, None)
        or ablations
        or dry_run
    ):
        raise UsageError(
            "--from makes no runs, so there is nothing to pack or to ablate, and the model is the "
            "archive's: leave out --archive, --ablations, --dry-run, --model and the options of "
            "where runs are made."
        )
    else:
        done = claimed.rebuild(source, out, chosen, seeds=seeds, budget=budget)
    echo(done.text())
    echo(f"\nThe page: {printable(str(done.html))} and {printable(str(done.markdown))}")
    if done.failed:
        say_failed(done.failed)
        raise Exit(1)


@ending(KEPT)
@with_settings(of_settings(BackendConfig))
def calibrate(
    learners: Annotated[
        str | None,
        Option(help="Names, as in rl,fst (all that have trials); the others keep theirs."),
    ] = None,
    runs: Annotated[Path, Option(help="Directory for the runs.")] = Path(
        "results/calibration-runs"
    ),
    out: Annotated[Path, Option(help="Directory for trials.csv and settings.json.")] = Path(
        "results/calibration"
    ),
    dry_run: DryRun = False,
    quiet: Quiet = False,
    **given: Any,
) -> None:
    """Choose each learner's settings, with equally many trials on conventions of their own."""
    from cl_bench.claims import calibration
    from cl_bench.store.remote import require_folder
    from cl_bench.sweep.state import outlook

    require_folder("--out", out)
    chosen = calibration.LEARNERS if learners is None else words("--learners", learners, "rl,fst")
    calibration.kept_rows(out, chosen)  # what cannot be kept is told before the runs are made
    if dry_run:
        cells = [cell for trial in calibration.trials(chosen) for cell in trial.cells]
        say_outlook(outlook(cells, runs))
        return
    found = calibration.calibrate(
        runs, on=backend_in(given), display=display(quiet), learners=chosen
    )
    written = calibration.write(found, out)
    echo(written.to_string(index=False))
    echo(f"\nTrials and chosen settings: {printable(str(out))}")


def _claims(given: str) -> list[int]:
    """The claims' numbers, in order."""
    given_words = words("--claims", given, "1,3")
    for word in given_words:
        if not word.isdecimal():
            raise UsageError(
                f"--claims is {printable(repr(given), 100)}, but must be numbers joined by "
                "commas, such as 1,3."
            )
    return sorted(map(int, given_words))
