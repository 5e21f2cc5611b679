"""The command line: parses, calls one function per verb, prints. Imports lazily."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cl_bench.cli_check import check
from cl_bench.cli_compare import compare
from cl_bench.cli_errors import Errors
from cl_bench.cli_export import export
from cl_bench.cli_new import new_app
from cl_bench.cli_plasticity import plasticity
from cl_bench.cli_reference import reference
from cl_bench.cli_report import report
from cl_bench.cli_reproduce import calibrate, reproduce
from cl_bench.cli_results import results_app, submit
from cl_bench.cli_show import show
from cl_bench.cli_sweep import sweep
from cl_bench.cli_track import track as track_recorded
from cl_bench.console import OneLineGroup
from cl_bench.errors import UsageError, unknown
from cl_bench.text import printable

app = typer.Typer(
    name="cl-bench",
    cls=OneLineGroup,
    help="Continual-learning benchmarks for language models: run a learner on a stream of tasks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
model_app = typer.Typer(help="The embedded base model: measure it, train it again.")
app.add_typer(model_app, name="model")
app.add_typer(new_app, name="new")
app.add_typer(results_app, name="results")

LEARNING = "What the learner may spend"
REFLECTION = "Who rewrites prompts (learners that have prompts)"
VARIANTS = "For single learners"
EVALUATION = "Evaluation"
BOUNDARIES = ("hidden", "announced")
NOT_OPTIONS = ("resume", "track", "quiet", "debug", "boundaries")
Name = typer.Option


@app.command()
def run(
    context: typer.Context,
    stream: Annotated[str, Name(help="A stream, or a-to-b over domains.")] = "math-to-code",
    learner: Annotated[str, Name(help="rl, prompt, fst; see `cl-bench list`.")] = "fst",
    model: Annotated[str, Name(help="embedded, a Hugging Face folder or name.")] = "embedded",
    seed: Annotated[int, Name(help="Seed of conventions, problems and sampling.")] = 0,
    out: Annotated[Path | None, Name(help="New directory for the run [results/…].")] = None,
    resume: Annotated[Path | None, Name(help="Go on with an interrupted run.")] = None,
    steps: Annotated[int | None, Name(help="Training steps per stage.")] = None,
    setting: Annotated[str | None, Name(help="easy, default or hard.")] = None,
    feedback: Annotated[str, Name(help="none, answer or step.")] = "step",
    boundaries: Annotated[str, Name(help="hidden or announced.")] = "hidden",
    device: Annotated[str, Name(help="auto, cpu or cuda.")] = "auto",
    keep_stage_models: Annotated[
        bool, Name("--keep-stage-models", help="Keep the model of every stage's end.")
    ] = False,
    track: Annotated[
        list[str] | None, Name(help="tensorboard, wandb, trackio or mlflow; repeatable.")
    ] = None,
    quiet: Annotated[bool, Name("--quiet", help="Print the summary only.")] = False,
    debug: Annotated[bool, Name("--debug", help="Show tracebacks.")] = False,
    learning_rate: Annotated[
        float, Name(help="Step size of AdamW on the parameters.", rich_help_panel=LEARNING)
    ] = 6e-4,
    problems_per_step: Annotated[
        int, Name(help="Problems in one RL step.", rich_help_panel=LEARNING)
    ] = 8,
    group_size: Annotated[int, Name(help="Rollouts per problem.", rich_help_panel=LEARNING)] = 8,
    round_every: Annotated[
        int, Name(help="RL steps between two prompt rounds.", rich_help_panel=LEARNING)
    ] = 6,
    population: Annotated[int, Name(help="System prompts kept.", rich_help_panel=LEARNING)] = 4,
    proposals: Annotated[
        int, Name(help="Rewrites proposed in one round.", rich_help_panel=LEARNING)
    ] = 5,
    max_new_tokens: Annotated[
        int, Name(help="Longest response, in tokens; for evaluation too.", rich_help_panel=LEARNING)
    ] = 96,
    consecutive_rounds: Annotated[
        int, Name(help="Rounds: prompt-then-rl, rl-then-prompt.", rich_help_panel=VARIANTS)
    ] = 14,
    kl_beta: Annotated[float, Name(help="KL penalty of rl-kl.", rich_help_panel=VARIANTS)] = 0.04,
    replay_share: Annotated[
        float, Name(help="Share of past problems in rl-replay.", rich_help_panel=VARIANTS)
    ] = 0.25,
    mixed_groups: Annotated[
        bool, Name(help="Spread a problem's rollouts over prompts.", rich_help_panel=VARIANTS)
    ] = True,
    refill: Annotated[
        bool, Name(help="Fill the Pareto frontier up to --population.", rich_help_panel=VARIANTS)
    ] = True,
    reflection_lm: Annotated[
        str,
        Name(
            help="base, oracle, local:NAME, openai:MODEL[@URL] or litellm:NAME[@URL].",
            rich_help_panel=REFLECTION,
        ),
    ] = "base",
    reflection_timeout: Annotated[
        float, Name(help="Seconds an endpoint has for an answer.", rich_help_panel=REFLECTION)
    ] = 60.0,
    reflection_retries: Annotated[
        int, Name(help="Further attempts after a failed one.", rich_help_panel=REFLECTION)
    ] = 3,
    reflection_token_budget: Annotated[
        int, Name(help="Tokens it may read and write; 0: no limit.", rich_help_panel=REFLECTION)
    ] = 0,
    record: Annotated[
        Path | None,
        Name(help="File for its calls [reflections.jsonl in --out].", rich_help_panel=REFLECTION),
    ] = None,
    replay: Annotated[
        Path | None,
        Name(help="Answer its calls from this file or run.", rich_help_panel=REFLECTION),
    ] = None,
    eval_every: Annotated[
        int, Name(help="Steps between evaluations.", rich_help_panel=EVALUATION)
    ] = 20,
    items: Annotated[int, Name(help="Test problems per domain.", rich_help_panel=EVALUATION)] = 64,
    samples: Annotated[int, Name(help="Responses per item.", rich_help_panel=EVALUATION)] = 4,
    retention_items: Annotated[
        int,
        Name(help="Items of each domain outside the stream; 0: none.", rich_help_panel=EVALUATION),
    ] = 64,
    transcripts: Annotated[
        int, Name(help="Responses per domain kept in full; 0: none.", rich_help_panel=EVALUATION)
    ] = 3,
    probes: Annotated[
        bool,
        Name(
            help="At stage ends also ask the base, and problems of the hardest setting.",
            rich_help_panel=EVALUATION,
        ),
    ] = True,
) -> None:
    """Run a learner on a stream; print a summary, write tables and figures."""
    from rich.console import Console

    from cl_bench import api
    from cl_bench.progress import progress_for

    with Errors(debug):
        out = resume or out or api.default_out(stream, learner, seed)
    given: dict[str, Any] = dict(locals())
    with Errors(debug, f"Go on with: cl-bench run --resume {out}", out):
        progress = progress_for(Console(stderr=True), quiet=quiet)
        if resume is not None:
            _refuse_others(context, ("resume", "track", "quiet", "debug"))
            finished = api.resume(resume, progress=progress, track=track or ())
        else:
            options = {name: given[name] for name in context.params if name not in NOT_OPTIONS}
            options["out"] = out
            if boundaries not in BOUNDARIES:
                raise unknown("--boundaries", boundaries, BOUNDARIES)
            announced = boundaries == "announced"
            options |= {"track": track or (), "announced": announced, "progress": progress}
            finished = api.run(**options)
        typer.echo(finished.summary().text())
        typer.echo(f"\nTables, figures and summary: {printable(str(finished.path))}")


@app.command("list")
def list_() -> None:
    """Streams, tasks, learners, models and metrics, one line each."""
    from cl_bench.listing import listing

    with Errors(debug=False):
        for kind, entries in listing().items():
            typer.echo(f"{kind}:")
            for name, summary in entries:
                typer.echo(f"  {printable(name):<26} {printable(summary)}")


@app.command()
def metrics(
    matrix: Annotated[str, typer.Argument(help="CSV file of an accuracy matrix; - for stdin.")],
    percent: Annotated[bool, Name("--percent", help="Cells go from 0 to 100.")] = False,
    as_json: Annotated[bool, Name("--json", help="Print JSON, for machines.")] = False,
    debug: Annotated[bool, Name("--debug", help="Show tracebacks.")] = False,
) -> None:
    """The metrics of an accuracy matrix of your own: a row for the base model, one per stage."""
    with Errors(debug):
        from cl_bench.matrix import read_matrix

        own = read_matrix(matrix, percent=percent)
        typer.echo(own.json() if as_json else own.text())


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

        from cl_bench.doctor import examine

        found = examine(trial=trial)
        typer.echo(json.dumps(found.data(), indent=2) if as_json else found.text())
    raise typer.Exit(0 if found.works else 1)


@app.command()
def selftest(
    kills: Annotated[int, Name(help="Random moments at which a run is killed.")] = 100,
    learner: Annotated[str, Name(help="rl, prompt, fst; see `cl-bench list`.")] = "fst",
    seed: Annotated[int, Name(help="Seed of the runs and of the moments.")] = 0,
    device: Annotated[str, Name(help="auto, cpu or cuda.")] = "auto",
    debug: Annotated[bool, Name("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Kill small runs at random moments, resume them, and compare their tables."""
    with Errors(debug):
        from cl_bench.selftest.harness import selftest as kill_and_compare

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
        from cl_bench.models.evaluation import evaluate_learners, evaluate_model

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
        from cl_bench.models.training import TrainingConfig, train

        config = TrainingConfig(steps=steps, seed=seed, device=device, compile=compile)
        train(config, out, typer.echo)


def _refuse_others(context: typer.Context, allowed: tuple[str, ...]) -> None:
    """A resumed run keeps its configuration, so options that would change it are an error."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if name not in allowed and source is not None and source.name == "COMMANDLINE":
            option = name.replace("_", "-")
            raise UsageError(
                f"--{option} cannot go with --resume: a resumed run keeps its configuration. "
                f"Leave --{option} out, or start a new run without --resume."
            )


def main() -> None:
    """The console script `cl-bench`."""
    app()
