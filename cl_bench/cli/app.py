"""The command line: parses, calls one function per verb, prints. Imports lazily."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cl_bench.cli.check import check
from cl_bench.cli.compare import compare
from cl_bench.cli.console import OneLineGroup
from cl_bench.cli.endings import Errors
from cl_bench.cli.export import export
from cl_bench.cli.new import new_app
from cl_bench.cli.plasticity import plasticity
from cl_bench.cli.reference import reference
from cl_bench.cli.report import report
from cl_bench.cli.reproduce import calibrate, reproduce
from cl_bench.cli.results import results_app, submit
from cl_bench.cli.run import run
from cl_bench.cli.show import show
from cl_bench.cli.sweep import sweep
from cl_bench.cli.track import track as track_recorded
from cl_bench.contract.registry import DEFAULT_LEARNER
from cl_bench.contract.text import printable

app = typer.Typer(
    name="cl-bench",
    cls=OneLineGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
model_app = typer.Typer(help="Fetch a model by its name; measure the embedded one, train it again.")
app.add_typer(model_app, name="model")
app.add_typer(new_app, name="new")
app.add_typer(results_app, name="results")

Name = typer.Option


def _show_version(wanted: bool) -> None:
    if wanted:
        from cl_bench import __version__

        typer.echo(f"cl-bench {__version__}")
        raise typer.Exit


@app.callback()
def general(
    version: Annotated[
        bool,
        Name("--version", help="Show the version.", is_eager=True, callback=_show_version),
    ] = False,
) -> None:
    """Continual-learning benchmarks for language models: run a learner on a stream of tasks."""


app.command()(run)


@app.command("list")
def list_(
    kind: Annotated[
        str, typer.Argument(help="streams, tasks, learners, …; or gym: the sets of reasoning-gym.")
    ] = "",
    name: Annotated[str, typer.Argument(help="A learner, to see its settings.")] = "",
    as_json: Annotated[
        bool, Name("--json", help="Print a line of JSON for each data set of reasoning-gym.")
    ] = False,
) -> None:
    """Streams, tasks, learners, models and metrics, one line each; the settings of a learner."""
    with Errors(debug=False):
        from cl_bench.cli.listing import lines

        for line in lines(kind, name, as_json=as_json):
            typer.echo(line)


@app.command()
def metrics(
    matrix: Annotated[str, typer.Argument(help="CSV file of an accuracy matrix; - for stdin.")],
    percent: Annotated[bool, Name("--percent", help="Cells go from 0 to 100.")] = False,
    as_json: Annotated[bool, Name("--json", help="Print JSON, for machines.")] = False,
    debug: Annotated[bool, Name("--debug", help="Show tracebacks.")] = False,
) -> None:
    """The metrics of an accuracy matrix of your own: a row for the base model, one per stage."""
    with Errors(debug):
        from cl_bench.report.matrix import read_matrix
        from cl_bench.report.terminal import echo

        own = read_matrix(matrix, percent=percent)
        echo(own.json() if as_json else own.text())


@app.command()
def doctor(
    as_json: Annotated[bool, Name("--json", help="Print JSON, for machines.")] = False,
    trial: Annotated[
        bool, Name("--trial", help="Also make and time two steps of the default run.")
    ] = False,
    debug: Annotated[bool, Name("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Whether a run can work here: versions, device, threads, memory, disk; exit code 1 if not."""
    with Errors(debug):
        import json

        from cl_bench.tools.doctor import examine

        found = examine(trial=trial)
        typer.echo(json.dumps(found.data(), indent=2) if as_json else found.text())
    raise typer.Exit(0 if found.works else 1)


@app.command()
def selftest(
    kills: Annotated[int, Name(help="Random moments at which a run is killed.")] = 100,
    learner: Annotated[str, Name(help="See `cl-bench list learners`.")] = DEFAULT_LEARNER,
    seed: Annotated[int, Name(help="Seed of the runs and of the moments.")] = 0,
    device: Annotated[str, Name(help="auto, cpu or cuda.")] = "auto",
    debug: Annotated[bool, Name("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Kill small runs at random moments, resume them, and compare their tables."""
    with Errors(debug):
        from cl_bench.tools.selftest.harness import selftest as kill_and_compare

        outcome = kill_and_compare(
            kills=kills, learner=learner, seed=seed, device=device, say=typer.echo
        )
        typer.echo(outcome.text())
        raise typer.Exit(0 if outcome.passed else 1)


app.command()(sweep)
app.command()(reproduce)
app.command()(calibrate)
app.command()(plasticity)
app.command()(report)
app.command()(compare)
app.command()(show)
app.command()(check)
app.add_typer(reference, name="reference")
app.command()(submit)
app.command("track")(track_recorded)
app.command()(export)


@model_app.command("get")
def model_get(
    name: Annotated[str, typer.Argument(help="A model's short name; see `cl-bench list`.")],
    again: Annotated[bool, Name("--again", help="Fetch it even if a whole copy is there.")] = False,
    debug: Annotated[bool, Name("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Fetch a model that has a short name, and say where it lies, its size, hash and licence."""
    with Errors(debug):
        from cl_bench.model.named import get

        for label, value in get(name, again=again).items():
            typer.echo(f"{label:<12} {printable(value)}")


@model_app.command("eval")
def model_eval(
    model: Annotated[str, Name(help="embedded or a folder trained by `model train`.")] = "embedded",
    n: Annotated[int, Name("--n", help="Samples per cell.")] = 512,
    seed: Annotated[int, Name(help="Seed of the fresh conventions and of sampling.")] = 1,
    learners: Annotated[
        bool, Name("--learners", help="Also what prompt and rl reach; many minutes.")
    ] = False,
    debug: Annotated[bool, Name("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Measure the embedded model: the figures of its card."""
    with Errors(debug):
        from cl_bench.tools.embedded.evaluation import evaluate_learners, evaluate_model

        typer.echo(evaluate_model(model, n=n, seed=seed).text())
        if learners:
            typer.echo(evaluate_learners(model, seed=seed).text())


@model_app.command("train")
def model_train(
    out: Annotated[Path, Name(help="Folder for the model and its checkpoint.")],
    steps: Annotated[int, Name(help="Optimizer steps.")] = 5000,
    seed: Annotated[int, Name(help="Seed of weights and documents.")] = 0,
    device: Annotated[str, Name(help="cpu or cuda.")] = "cpu",
    compile: Annotated[bool, Name(help="Compile the training step.")] = True,
    debug: Annotated[bool, Name("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Train the embedded model again; an interrupted training goes on from its checkpoint."""
    with Errors(debug):
        from cl_bench.tools.embedded.training import TrainingConfig, train

        config = TrainingConfig(steps=steps, seed=seed, device=device, compile=compile)
        train(config, out, typer.echo)


def main() -> None:
    """The console script `cl-bench`."""
    app()
