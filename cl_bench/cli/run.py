"""The command `run`. Imports lazily."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Context, Option

from cl_bench.cli.console import Errors, echo
from cl_bench.cli.options import (
    Debug,
    Difficulty,
    Quiet,
    Retention,
    Rollouts,
    assigned,
    given_in,
    is_given,
    of_runs,
    with_settings,
)
from cl_bench.contract.errors import UsageError, unknown
from cl_bench.contract.text import printable

if TYPE_CHECKING:
    from cl_bench.api import Asked

BOUNDARIES = ("hidden", "announced")
_WITH_RESUME = ("resume", "track", "figure_style", "quiet", "debug")
REFLECTION = "Calls to a reflection LM outside the run"


@with_settings(of_runs())
def run(
    context: Context,
    stream: Annotated[
        str, Option(help="A stream, a-to-b over domains (math, gym/gcd, my.jsonl), or FILE.toml.")
    ] = "math-to-code",
    steps: Annotated[int | None, Option(help="Training steps per stage.")] = None,
    rollouts: Rollouts = None,
    setting: Difficulty = None,
    retention: Retention = None,
    boundaries: Annotated[str, Option(help="hidden or announced.")] = "hidden",
    config: Annotated[
        Path | None, Option(help="TOML file of settings; options win over it.")
    ] = None,
    learner_option: Annotated[
        list[str] | None,
        Option(help="A setting of the learner, as in epsilon=0.1; repeatable."),
    ] = None,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Print the resolved settings as such a file; run nothing.")
    ] = False,
    out: Annotated[Path | None, Option(help="New directory or URL of the run (results/…).")] = None,
    resume: Annotated[Path | None, Option(help="Go on with an interrupted run.")] = None,
    track: Annotated[
        list[str] | None, Option(help="tensorboard, wandb, trackio or mlflow; repeatable.")
    ] = None,
    record: Annotated[
        Path | None,
        Option(help="File for them (reflections.jsonl in --out).", rich_help_panel=REFLECTION),
    ] = None,
    replay: Annotated[
        Path | None,
        Option(help="Answer them from this file or run.", rich_help_panel=REFLECTION),
    ] = None,
    figure_style: Annotated[
        str, Option(help="screen, one-column or two-column (for papers), or none.")
    ] = "screen",
    quiet: Quiet = False,
    debug: Debug = False,
    **given: Any,
) -> None:
    """Run a learner on a stream; print a summary, write tables and figures.

    The model's preset lies over the defaults shown: what it gives is printed when a run begins.
    `--dry-run` prints all settings, and docs/models.md says whose they are.
    """
    from cl_bench import api
    from cl_bench.execution.stored_run import working_folder

    parts = {"steps": steps, "rollouts": rollouts, "setting": setting, "retention": retention}
    with Errors(debug):
        if resume is None:
            options = {**given, "stream": stream, **parts}
            asked = requested(context, config, boundaries, learner_option, options)
            if dry_run:
                from cl_bench.execution.requirements import foretold

                echo(asked.toml() + "\n")
                for line in foretold(asked.config, asked.stream):
                    echo(f"# {line}")
                return
        at = resume or out or asked.default_out()
        place = working_folder(at)
    with Errors(debug, f"Go on with: cl-bench run --resume {place}", place):
        from rich.console import Console

        from cl_bench.execution.progress import progress_for

        progress = progress_for(Console(stderr=True), quiet=quiet)
        if resume is not None:
            _refuse_others(context)
            finished = api.resume(
                at, progress=progress, track=track or (), figure_style=figure_style
            )
        else:
            finished = api.start(
                asked,
                out=at,
                progress=progress,
                track=track or (),
                record=record,
                replay=replay,
                figure_style=figure_style,
            )
        echo(finished.summary().text())
        echo(f"\nTables, figures and summary: {printable(finished.place)}")


def requested(
    context: Context,
    config: Path | None,
    boundaries: str,
    learner_options: list[str] | None,
    options: Mapping[str, Any],
) -> Asked:
    """Return the run that the options on the command line ask for, resolved and checked."""
    from cl_bench import api

    if boundaries not in BOUNDARIES:
        raise unknown("--boundaries", boundaries, BOUNDARIES)
    given = given_in(context, options)
    if is_given(context, "boundaries"):
        given["announced"] = boundaries == "announced"
    own = assigned("--learner-option", learner_options)
    return api.resolve(config, learner_options=own, **given)


def _refuse_others(context: Context) -> None:
    """Raise `UsageError` for an option that would change a resumed run's configuration."""
    for name in context.params:
        if name not in _WITH_RESUME and is_given(context, name):
            option = name.replace("_", "-")
            raise UsageError(
                f"--{option} cannot go with --resume: a resumed run keeps its configuration. "
                f"Leave --{option} out, or start a new run without --resume."
            )
