"""The command line: parses, calls one function per verb, prints. Imports lazily."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Context, Exit, Option, Typer

from cl_bench.cli.check import check
from cl_bench.cli.compare import compare
from cl_bench.cli.console import OneLineGroup, echo, echo_wrapped
from cl_bench.cli.export import export
from cl_bench.cli.help import CHECK, EXTEND, LEARN, LOOK, SHARE, HelpedCommand
from cl_bench.cli.new import new_app
from cl_bench.cli.options import (
    Command,
    Difficulty,
    Json,
    Retention,
    Rollouts,
    ending,
    given_in,
    is_given,
    of_runs,
    of_settings,
    with_settings,
)
from cl_bench.cli.plasticity import plasticity
from cl_bench.cli.reference import reference
from cl_bench.cli.report import report
from cl_bench.cli.reproduce import calibrate, reproduce
from cl_bench.cli.results import results_app, submit
from cl_bench.cli.run import requested, run
from cl_bench.cli.show import show
from cl_bench.cli.sweep import sweep
from cl_bench.cli.track import track
from cl_bench.contract.text import printable
from cl_bench.execution.settings import RunConfig
from cl_bench.model import ranks
from cl_bench.tools.embedded.corpus import TrainingConfig

app = Typer(
    name="cl-bench",
    cls=OneLineGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
model_app = Typer(
    cls=OneLineGroup, help="Fetch a model by its name; measure the embedded one, train it again."
)


def _verb(heading: str, name: str | None = None) -> Callable[[Command], Command]:
    """Make a function a command under a heading of `cl-bench --help`."""
    return app.command(name, cls=HelpedCommand, rich_help_panel=heading)


def _show_version(wanted: bool) -> None:
    if wanted:
        from cl_bench import __version__

        echo(f"cl-bench {__version__}")
        raise Exit


@app.callback()
def general(
    version: Annotated[
        bool,
        Option("--version", help="Show the version.", is_eager=True, callback=_show_version),
    ] = False,
) -> None:
    """Continual-learning benchmarks for language models: run a learner on a stream of tasks."""


_verb(LEARN)(run)
_verb(LEARN)(sweep)
_verb(LEARN)(plasticity)
_verb(LEARN)(reproduce)
_verb(LEARN)(calibrate)


@_verb(LOOK, "list")
@ending()
def list_(
    kind: Annotated[
        str,
        Argument(
            metavar="KIND",
            help="streams, tasks, learners, models, presets, reflection-lms, metrics or "
            "statistics; gym, hub: the data sets of reasoning-gym and of the hub.",
        ),
    ] = "",
    name: Annotated[str, Argument(metavar="NAME", help="A learner, to see its settings.")] = "",
    as_json: Annotated[bool, Option("--json", help="Print JSON, an object a line.")] = False,
) -> None:
    """Streams, tasks, learners, models and metrics, one line each; the settings of a learner."""
    from cl_bench.cli.listing import lines

    show = echo if as_json else echo_wrapped
    for line in lines(kind, name, as_json=as_json):
        show(line)


_verb(LOOK)(show)
_verb(LOOK)(compare)
_verb(LOOK)(report)


@_verb(LOOK)
@ending()
def metrics(
    matrix: Annotated[str, Argument(help="CSV file of an accuracy matrix; - for stdin.")],
    percent: Annotated[bool, Option("--percent", help="Cells go from 0 to 100.")] = False,
    as_json: Json = False,
) -> None:
    """The metrics of an accuracy matrix of your own: a row for the base model, one per stage."""
    from cl_bench.report.matrix import read_matrix

    own = read_matrix(matrix, percent=percent)
    echo(own.json() if as_json else own.text())


@_verb(CHECK)
@ending()
@with_settings(of_runs())
def doctor(
    context: Context,
    as_json: Json = False,
    trial: Annotated[
        bool, Option("--trial", help="Also make and time two steps of the default run.")
    ] = False,
    stream: Annotated[str | None, Option(help="Stream of the run asked about.")] = None,
    steps: Annotated[int | None, Option(help="Its training steps per stage.")] = None,
    rollouts: Rollouts = None,
    setting: Difficulty = None,
    retention: Retention = None,
    boundaries: Annotated[str, Option(help="hidden or announced.")] = "hidden",
    config: Annotated[Path | None, Option(help="TOML file of its settings.")] = None,
    learner_option: Annotated[
        list[str] | None, Option(help="A setting of its learner, as in epsilon=0.1; repeatable.")
    ] = None,
    **given: Any,
) -> None:
    """Whether a run can work here: versions, device, threads, memory, disk; exit code 1 if not.

    With options of a run: what that run needs and about how long it takes, from a few responses
    that its model is loaded for, and what to change if it does not fit.
    """
    from cl_bench.tools.doctor import examine

    parts = {"stream": stream, "steps": steps, "rollouts": rollouts, "setting": setting}
    options = {**given, **parts, "retention": retention}
    others = is_given(context, "boundaries") or learner_option or config is not None
    asked = None
    if others or given_in(context, options):
        asked = requested(context, config, boundaries, learner_option, options)
    found = examine(trial=trial, asked=asked)
    if as_json:
        echo(json.dumps(found.data(), indent=2))
    else:
        echo_wrapped(found.text())
    raise Exit(0 if found.works else 1)


@_verb(CHECK)
@ending()
@with_settings(of_settings(RunConfig, "learner", "device"))
def selftest(
    kills: Annotated[int, Option(help="Random moments at which a run is killed.")] = 100,
    seed: Annotated[int, Option(help="Seed of the runs and of the moments.")] = 0,
    **given: Any,
) -> None:
    """Kill small runs at random moments, resume them, and compare their tables."""
    from cl_bench.tools.selftest import selftest as kill_and_compare

    found = kill_and_compare(kills=kills, seed=seed, say=echo, **given)
    echo(found.text())
    raise Exit(0 if found.passed else 1)


_verb(CHECK)(check)
app.add_typer(reference, name="reference", rich_help_panel=CHECK)
app.add_typer(results_app, name="results", rich_help_panel=CHECK)
_verb(SHARE)(submit)
_verb(SHARE)(track)
_verb(SHARE)(export)
app.add_typer(new_app, name="new", rich_help_panel=EXTEND)
app.add_typer(model_app, name="model", rich_help_panel=EXTEND)


@model_app.command("get", cls=HelpedCommand)
@ending()
def model_get(
    name: Annotated[str, Argument(help="A model's short name; see `cl-bench list`.")],
    again: Annotated[
        bool, Option("--again", help="Fetch it even if a whole copy is there.")
    ] = False,
) -> None:
    """Fetch a model that has a short name, and say where it lies, its size, hash and licence."""
    from cl_bench.model.named import get

    for label, value in get(name, again=again).items():
        echo(f"{label:<12} {printable(value)}")


@model_app.command("eval", cls=HelpedCommand)
@ending()
def model_eval(
    model: Annotated[
        str, Option(help="embedded or a folder trained by `model train`.")
    ] = "embedded",
    n: Annotated[int, Option("--n", help="Samples per cell.")] = 512,
    seed: Annotated[int, Option(help="Seed of the fresh conventions and of sampling.")] = 1,
    learners: Annotated[
        bool, Option("--learners", help="Also what learners of one channel reach; takes long.")
    ] = False,
) -> None:
    """Measure the embedded model: the figures of its card."""
    from cl_bench.tools.embedded.evaluation import evaluate_learners, evaluate_model

    echo(evaluate_model(model, n=n, seed=seed).text())
    if learners:
        echo(evaluate_learners(model, seed=seed).text())


@model_app.command("train", cls=HelpedCommand)
@ending()
@with_settings(of_settings(TrainingConfig, "steps", "seed", "device", "compile"))
def model_train(
    out: Annotated[Path, Option(help="Folder for the model and its checkpoint.")], **given: Any
) -> None:
    """Train the embedded model again; an interrupted training goes on from its checkpoint."""
    from cl_bench.tools.embedded.training import train

    train(TrainingConfig(**given), out, echo)


def main() -> None:
    """The console script `cl-bench`."""
    ranks.quieten()
    app(prog_name="cl-bench")
