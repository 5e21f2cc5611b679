"""The subject of a model card and of prompts.json: prompts and numbers of a stage's end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from cl_bench.analysis.run_values import run_metrics
from cl_bench.contract.errors import RunDirectoryError
from cl_bench.metrics.undefined import Undefined
from cl_bench.store.files import read_json
from cl_bench.store.run_directory import RunDirectory
from cl_bench.store.views import stream_rows

_FAST = "fast.json"
"""A checkpoint's file with the population (`cl_bench.fast.fast_weights`)."""
_COLUMNS = ["prompt_id", "parent_id", "round", "step", "text", "score", "fate"]

PromptRow = Mapping[str, Any]
"""A row of the table `prompts`; a score that there is not is None."""


@dataclass(frozen=True)
class Prompts:
    """The learner's prompts at a step."""

    chosen: str
    """The one that it was evaluated with."""
    seed: str
    """The one that every learner started from."""
    population: Sequence[PromptRow]
    """Those of the last round, best first; empty for a learner without prompts."""
    lineage: Sequence[PromptRow]
    """From the seed prompt to the chosen one, each as it was first scored; empty if it is none of
    the optimiser's."""

    def data(self) -> dict[str, Any]:
        """Plain data for prompts.json."""
        return {
            "prompt": self.chosen,
            "seed_prompt": self.seed,
            "population": list(self.population),
            "lineage": list(self.lineage),
        }


@dataclass(frozen=True)
class DomainFigures:
    """One domain of the stream under one prompt."""

    domain: str
    items: int
    """Test problems."""
    prompt: str
    """learner or seed."""
    before: float | None
    """Accuracy of the base model; None if it was not evaluated."""
    accuracy: float
    kl: float
    """KL(policy ‖ base), nats per token."""


@dataclass(frozen=True)
class Figures:
    """The measurements of the model at a stage's end."""

    step: int
    domains: Sequence[DomainFigures]
    metrics: Mapping[str, float]
    """Of the whole run, by name; empty before its end. What is undefined is left out."""
    samples: int
    temperature: float
    max_new_tokens: int
    problem: str | None
    """A test problem of the stage's domain; None if the run kept none."""


@dataclass(frozen=True)
class CardSubject:
    """The subject of a card."""

    name: str
    """Of the model: its folder's."""
    repository: str | None
    """On the hub, if it is to be there."""
    manifest: Mapping[str, Any]
    stage: int
    prompts: Prompts
    figures: Figures
    adapter: bool = False
    """Whether the folder holds a LoRA adapter alone."""


def subject_of(
    run: RunDirectory, stage: int, name: str, repository: str | None, *, adapter: bool = False
) -> CardSubject:
    """The end of a stage, from 1; a damaged manifest, or a stage at whose end the run was not
    evaluated, is a `RunDirectoryError`."""
    manifest = run.manifest
    try:
        stages = manifest["stream"]["stages"]
        final = stage == len(stages) and manifest["status"] == "done"
        prompts, figures = prompts_at(run, stage, final=final), _figures(run, stage, final=final)
    except KeyError as error:
        raise RunDirectoryError(
            f"{run.path / 'manifest.json'} was edited or is damaged: it has no {error}. Restore it "
            "from a copy."
        ) from error
    return CardSubject(name, repository, manifest, stage, prompts, figures, adapter)


def _end(run: RunDirectory, stage: int) -> int:
    return sum(each["steps"] for each in run.manifest["stream"]["stages"][:stage])


def _figures(run: RunDirectory, stage: int, *, final: bool) -> Figures:
    step, domain = _end(run, stage), run.manifest["stream"]["stages"][stage - 1]["domain"]
    rows = stream_rows(run.table("evaluations"))
    here = rows[(rows["step"] == step) & (rows["at"] == "stage-end")]
    if here.empty:
        raise RunDirectoryError(
            f"The run {run.path} was not evaluated at the end of stage {stage} (step {step}). "
            "Finish it, or give an earlier --stage."
        )
    start = rows[rows["step"] == 0].set_index(["domain", "prompt"])["accuracy"].to_dict()
    by_prompt = here.sort_values("prompt", kind="stable").to_dict("records")
    metrics = run_metrics(run) if final else {}
    kept = run.table("transcripts")
    kept = kept[(kept["step"] == step) & (kept["domain"] == domain)]["problem"]
    first = here.iloc[0]
    return Figures(
        step=step,
        domains=[
            DomainFigures(
                domain=str(row["domain"]),
                items=int(row["n_items"]),
                prompt=str(row["prompt"]),
                before=start.get((row["domain"], row["prompt"])),
                accuracy=float(row["accuracy"]),
                kl=float(row["kl_policy_base"]),
            )
            for row in by_prompt
        ],
        metrics={n: value for n, value in metrics.items() if not isinstance(value, Undefined)},
        samples=int(first["n_samples"]),
        temperature=float(first["temperature"]),
        max_new_tokens=int(run.manifest["config"]["learning"]["max_new_tokens"]),
        problem=None if kept.empty else str(kept.iloc[0]),
    )


def prompts_at(run: RunDirectory, stage: int, *, final: bool) -> Prompts:
    """The prompts at the end of a stage, from 1; `final` if that is where the run ended.

    The chosen one is as the transcripts or the last checkpoint have it; runs that have neither are
    taken to use the best of the last round.
    """
    end, rows, kept = _end(run, stage), run.table("prompts"), run.table("transcripts")
    rows = rows[rows["step"] <= end]
    last = rows[(rows["round"] == rows["round"].max()) & (rows["fate"] == "kept")]
    best = last.sort_values(["score", "prompt_id"], ascending=[False, True], kind="stable")
    population = _plain(best)
    seed = run.manifest["config"]["learning"]["seed_prompt"]
    kept = kept[(kept["step"] == end) & (kept["prompt"] == "learner") & (kept["at"] != "start")]
    chosen = None if kept.empty else str(kept["system_prompt"].iloc[0])
    if chosen is None and final:
        chosen = _in_checkpoint(run)
    if chosen is None:
        chosen = population[0]["text"] if population else seed
    return Prompts(chosen, seed, population, _lineage(_plain(rows), chosen))


def _in_checkpoint(run: RunDirectory) -> str | None:
    folder = run.checkpoints.current()
    if folder is None or not (folder / _FAST).is_file():
        return None
    return str(read_json(folder / _FAST)["population"][0]["text"])


def _lineage(rows: Sequence[PromptRow], chosen: str) -> list[PromptRow]:
    first = {row["prompt_id"]: row for row in reversed(rows)}
    found = next((row for row in reversed(rows) if row["text"] == chosen), None)
    way: list[PromptRow] = []
    number = -1 if found is None else found["prompt_id"]
    while number in first and first[number] not in way:
        way.append(first[number])
        number = first[number]["parent_id"]
    return way[::-1]


def _plain(rows: pd.DataFrame) -> list[PromptRow]:
    """Rows as JSON holds them."""
    records: list[dict[str, Any]] = rows[_COLUMNS].to_dict("records")
    return [row | {"score": None if math.isnan(row["score"]) else row["score"]} for row in records]
