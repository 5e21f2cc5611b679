"""The command `sweep`, and what commands that make many runs have in common. Imports lazily."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Context, Exit, Option

from cl_bench.cli.console import echo, echo_wrapped
from cl_bench.cli.options import (
    Difficulty,
    Json,
    Quiet,
    Retention,
    Rollouts,
    assigned,
    ending,
    given_in,
    is_given,
    of_settings,
    with_settings,
)
from cl_bench.contract.errors import UsageError
from cl_bench.contract.redaction import say
from cl_bench.contract.registry import COMPARED_LEARNERS
from cl_bench.contract.settings import those_of
from cl_bench.contract.text import counted, printable
from cl_bench.contract.validation import COUNTS, whole_number
from cl_bench.execution.settings import EvaluationConfig, RunConfig
from cl_bench.sweep.backends.backend import BackendConfig

if TYPE_CHECKING:
    from cl_bench.sweep.backends.backend import CellOutcome
    from cl_bench.sweep.cell import Cell
    from cl_bench.sweep.display import Display


KEPT = "Finished runs are kept; the same command goes on."

DryRun = Annotated[
    bool, Option("--dry-run", help="Say of each run whether it would be made; make none.")
]

_MOST_SEEDS = 1000
"""Seeds that one range may name; a longer one is a slip of the hand."""


@ending(KEPT)
@with_settings(
    [
        *of_settings(RunConfig, "model"),
        *of_settings(EvaluationConfig, "probes"),
        *of_settings(BackendConfig),
    ]
)
def sweep(
    context: Context,
    streams: Annotated[str, Option(help="Names, as in math-to-code,paper.")] = "math-to-code",
    learners: Annotated[str, Option(help="Names joined by commas.")] = ",".join(COMPARED_LEARNERS),
    seeds: Annotated[
        str, Option(help="Seeds, as in 0-5 or 0,5; with six, five learners can be ranked.")
    ] = "0-5",
    steps: Annotated[int | None, Option(help="Training steps per stage (the stream's).")] = None,
    rollouts: Rollouts = None,
    setting: Difficulty = None,
    retention: Retention = None,
    options: Annotated[
        list[str] | None,
        Option(
            "--set",
            help="Option of every run, as in learning_rate=3e-4, or of one learner's, as in "
            "fst.learning_rate=3e-4; repeatable.",
        ),
    ] = None,
    runs: Annotated[Path, Option(help="Directory for the runs.")] = Path("results/sweep"),
    dry_run: DryRun = False,
    plan: Annotated[
        bool,
        Option("--plan", help="Estimate hours, disk and wall time from a finished run; make none."),
    ] = False,
    machines: Annotated[int, Option(help="Machines that --plan reckons with.")] = 1,
    measure: Annotated[
        Path | None,
        Option(help="Finished run, or folder of some, that --plan scales (the sweep's own)."),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    **given: Any,
) -> None:
    """Run every learner on every stream with every seed; finished runs are used again."""
    from cl_bench.store.remote import require_local
    from cl_bench.sweep.apart import apart
    from cl_bench.sweep.grid import grid
    from cl_bench.sweep.pool import make_missing
    from cl_bench.sweep.state import outlook

    require_local("--runs", runs)
    named = {"rollouts": rollouts, "setting": setting, "retention": retention}
    own = given_in(context, {**named, "probes": given["probes"]})
    cells = grid(
        words("--streams", streams, "math-to-code,paper"),
        words("--learners", learners, ",".join(COMPARED_LEARNERS)),
        seeds_in(seeds),
        steps=steps,
        model=given["model"] if is_given(context, "model") else None,
        options={**assigned("--set", options), **own},
    )
    for difference in apart(cells):
        say(difference)
    on = backend_in(given)
    if plan:
        _say_plan(cells, runs, on, machines=machines, measure=measure, as_json=as_json)
        return
    for name in ("machines", "measure", "as_json"):
        if is_given(context, name):
            option = name.removeprefix("as_")
            raise UsageError(f"--{option} belongs to --plan; give that too, or leave it out.")
    if dry_run:
        say_outlook(outlook(cells, runs))
        return
    outcomes = make_missing(cells, runs, on=on, display=display(quiet))
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    folder = printable(str(runs))
    echo(f"{len(cells) - len(failed)} of {len(cells)} runs are finished in {folder}.")
    if failed:
        say_failed(failed)
        raise Exit(1)
    echo(f"See them side by side: cl-bench report {folder}")


def _say_plan(
    cells: Sequence[Cell],
    runs: Path,
    on: BackendConfig,
    *,
    machines: int,
    measure: Path | None,
    as_json: bool,
) -> None:
    from rich.console import Console

    from cl_bench.sweep import show_forecast
    from cl_bench.sweep.forecast import forecast

    number = whole_number("machines", machines, COUNTS)
    found = forecast(cells, runs, on=on, machines=number, measure=measure)
    if as_json:
        echo(show_forecast.as_json(found))
        return
    screen = Console()
    wide = {"width": screen.width} if screen.is_terminal else {}
    echo_wrapped(show_forecast.text(found, **wide))


def say_outlook(found: Iterable[tuple[Cell, str]]) -> None:
    """Tell of each run what would be done about it."""
    for cell, what in found:
        echo(f"{cell.name}  {what}")


def words(option: str, given: str, example: str) -> list[str]:
    """The different words of a list joined by commas."""
    found = [word.strip() for word in given.split(",")]
    if "" in found:
        raise UsageError(
            f"{option} is {printable(repr(given), 100)}, but must be a list joined by commas, "
            f"such as {example}."
        )
    return list(dict.fromkeys(found))


def backend_in(given: Mapping[str, Any]) -> BackendConfig:
    """Where runs are to be made, by a command's values."""
    return BackendConfig(**those_of(BackendConfig, given))


def display(quiet: bool) -> Display:
    """What shows a sweep on stderr."""
    from rich.console import Console

    from cl_bench.sweep.display import display_for

    return display_for(Console(stderr=True), quiet=quiet)


def teller(quiet: bool) -> Callable[[str], None]:
    """Return the function that tells progress: on stderr, or nowhere."""
    return (lambda _: None) if quiet else say


def say_failed(failed: Sequence[CellOutcome]) -> None:
    """Tell on stderr how many runs failed, why the first did, and what to do."""
    first = failed[0]
    say(
        f"{counted(len(failed), 'run')} failed, first {first.cell.name}: {first.reason}. "
        "The same command tries again."
    )


def seeds_in(given: str | None) -> list[int]:
    """The different seeds of a list of numbers and ranges; none without a list."""
    found: list[int] = []
    for word in [] if given is None else words("--seeds", given, "0-2"):
        parts = re.fullmatch(r"([0-9]{1,19})(?:-([0-9]{1,19}))?", word)
        first, last = (int(part or parts[1]) for part in parts.groups()) if parts else (1, 0)
        if not first <= last < first + _MOST_SEEDS:
            raise UsageError(
                f"--seeds is {printable(repr(given), 100)}, but must be numbers and ranges of at "
                f"most {_MOST_SEEDS} joined by commas, such as 0-2 or 0,5."
            )
        found += range(first, last + 1)
    return list(dict.fromkeys(found))
