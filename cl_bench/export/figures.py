"""The numbers of a model card, from a run's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from cl_bench.analysis.run_values import RUN_METRICS, run_metrics
from cl_bench.contract.errors import RunDirectoryError
from cl_bench.metrics.quantities import Quantity
from cl_bench.metrics.undefined import Undefined
from cl_bench.store.run_directory import RunDirectory
from cl_bench.store.views import stream_rows


@dataclass(frozen=True)
class DomainFigures:
    """One domain of the stream under one prompt."""

    domain: str
    prompt: str
    """learner or seed."""
    before: float | None
    """Accuracy of the base model; None if it was not evaluated."""
    accuracy: float
    kl: float
    """KL(policy ‖ base), nats per token."""


@dataclass(frozen=True)
class MetricFigure:
    """One of `RUN_METRICS`."""

    title: str
    quantity: Quantity
    value: float


@dataclass(frozen=True)
class Figures:
    """What is measured of the model at a stage's end."""

    step: int
    domains: Sequence[DomainFigures]
    metrics: Mapping[str, MetricFigure]
    """Of the whole run, by name; empty before its end. What is undefined is left out."""
    items: int
    samples: int
    temperature: float
    max_new_tokens: int
    problem: str | None
    """A test problem of the stage's domain; None if the run kept none."""


def figures_at(run: RunDirectory, stage: int, *, final: bool) -> Figures:
    """The figures at the end of a stage, from 1; `final` if that is where the run ended."""
    stages = run.manifest["stream"]["stages"]
    step = sum(each["steps"] for each in stages[:stage])
    rows = stream_rows(run.table("evaluations"))
    here = rows[(rows["step"] == step) & (rows["at"] == "stage-end")]
    if here.empty:
        raise RunDirectoryError(
            f"The run {run.path} was not evaluated at the end of stage {stage} (step {step}). "
            "Finish it, or give an earlier --stage."
        )
    start = rows[rows["step"] == 0]
    first = here.iloc[0]
    return Figures(
        step=step,
        domains=[*_domains(here, start)],
        metrics=_metrics(run) if final else {},
        items=int(first["n_items"]),
        samples=int(first["n_samples"]),
        temperature=float(first["temperature"]),
        max_new_tokens=int(run.manifest["config"]["learning"]["max_new_tokens"]),
        problem=_problem(run, step, stages[stage - 1]["domain"]),
    )


def _domains(here: pd.DataFrame, start: pd.DataFrame) -> list[DomainFigures]:
    before = start.set_index(["domain", "prompt"])["accuracy"].to_dict()
    return [
        DomainFigures(
            domain=str(row["domain"]),
            prompt=str(row["prompt"]),
            before=before.get((row["domain"], row["prompt"])),
            accuracy=float(row["accuracy"]),
            kl=float(row["kl_policy_base"]),
        )
        for row in here.sort_values("prompt", kind="stable").to_dict("records")
    ]


def _metrics(run: RunDirectory) -> dict[str, MetricFigure]:
    return {
        name: MetricFigure(RUN_METRICS[name].title, RUN_METRICS[name].quantity, value)
        for name, value in run_metrics(run).items()
        if not isinstance(value, Undefined)
    }


def _problem(run: RunDirectory, step: int, domain: str) -> str | None:
    rows = run.table("transcripts")
    rows = rows[(rows["step"] == step) & (rows["domain"] == domain)]
    return None if rows.empty else str(rows["problem"].iloc[0])
