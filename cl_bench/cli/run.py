"""The command `run`. Imports lazily."""

from __future__ import annotations

from typing import Any

import typer

from cl_bench.cli import run_options as option
from cl_bench.cli.endings import Errors
from cl_bench.contract.errors import UsageError, unknown
from cl_bench.contract.prompts import SEED_PROMPT
from cl_bench.contract.text import printable

BOUNDARIES = ("hidden", "announced")
NOT_OPTIONS = ("resume", "track", "quiet", "debug", "boundaries")


def run(
    context: typer.Context,
    stream: option.Stream = "math-to-code",
    learner: option.Learner = "fst",
    model: option.Model = "embedded",
    seed: option.Seed = 0,
    out: option.Out = None,
    resume: option.Resume = None,
    steps: option.Steps = None,
    setting: option.Setting = None,
    feedback: option.Feedback = "step",
    boundaries: option.Boundaries = "hidden",
    device: option.Device = "auto",
    precision: option.Precision = "float32",
    keep_stage_models: option.KeepStageModels = False,
    track: option.Track = None,
    quiet: option.Quiet = False,
    debug: option.Debug = False,
    learning_rate: option.LearningRate = 6e-4,
    problems_per_step: option.ProblemsPerStep = 8,
    group_size: option.GroupSize = 8,
    round_every: option.RoundEvery = 6,
    population: option.Population = 4,
    proposals: option.Proposals = 5,
    max_new_tokens: option.MaxNewTokens = 96,
    consecutive_rounds: option.ConsecutiveRounds = 14,
    kl_beta: option.KLBeta = 0.04,
    replay_share: option.ReplayShare = 0.25,
    mixed_groups: option.MixedGroups = True,
    refill: option.Refill = True,
    seed_prompt: option.SeedPrompt = SEED_PROMPT,
    reflection_lm: option.ReflectionLM = "base",
    reflection_timeout: option.ReflectionTimeout = 60.0,
    reflection_retries: option.ReflectionRetries = 3,
    reflection_token_budget: option.ReflectionTokenBudget = 0,
    record: option.Record = None,
    replay: option.Replay = None,
    eval_every: option.EvalEvery = 20,
    items: option.Items = 64,
    samples: option.Samples = 4,
    kl_items: option.KLItems = 0,
    retention_items: option.RetentionItems = 64,
    transcripts: option.Transcripts = 3,
    probes: option.Probes = True,
) -> None:
    """Run a learner on a stream; print a summary, write tables and figures.

    Defaults shown are the embedded model's. Another model has its own: they are printed when a run
    begins, and stand in docs/models.md.
    """
    from rich.console import Console

    from cl_bench import api
    from cl_bench.execution.progress import progress_for

    with Errors(debug):
        out = resume or out or api.default_out(stream, learner, seed)
    given: dict[str, Any] = dict(locals())
    with Errors(debug, f"Go on with: cl-bench run --resume {out}", out):
        progress = progress_for(Console(stderr=True), quiet=quiet)
        if resume is not None:
            _refuse_others(context, ("resume", "track", "quiet", "debug"))
            finished = api.resume(resume, progress=progress, track=track or ())
        else:
            # What was not given is left to the model's preset.
            options = {
                name: given[name]
                for name in context.params
                if name not in NOT_OPTIONS and _is_given(context, name)
            }
            options["out"] = out
            if boundaries not in BOUNDARIES:
                raise unknown("--boundaries", boundaries, BOUNDARIES)
            announced = boundaries == "announced"
            options |= {"track": track or (), "announced": announced, "progress": progress}
            finished = api.run(**options)
        typer.echo(finished.summary().text())
        typer.echo(f"\nTables, figures and summary: {printable(str(finished.path))}")


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def _refuse_others(context: typer.Context, allowed: tuple[str, ...]) -> None:
    """A resumed run keeps its configuration, so options that would change it are an error."""
    for name in context.params:
        if name not in allowed and _is_given(context, name):
            option = name.replace("_", "-")
            raise UsageError(
                f"--{option} cannot go with --resume: a resumed run keeps its configuration. "
                f"Leave --{option} out, or start a new run without --resume."
            )
