"""The system prompts that belong to the model of a stage's end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from cl_bench.store.files import read_json
from cl_bench.store.run_directory import RunDirectory

_FAST = "fast.json"
"""A checkpoint's file with the population (`cl_bench.fast.fast_weights`)."""
_COLUMNS = ("prompt_id", "parent_id", "round", "step", "text", "score", "fate")

PromptRow = Mapping[str, Any]
"""A row of the table `prompts`; a score that there is not is None."""


@dataclass(frozen=True)
class Prompts:
    """What the learner's prompts were at a step."""

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


def prompts_at(run: RunDirectory, stage: int, *, final: bool) -> Prompts:
    """The prompts at the end of a stage, from 1; `final` if that is where the run ended.

    The chosen one is as the transcripts or the last checkpoint have it; runs that have neither are
    taken to use the best of the last round.
    """
    end = sum(each["steps"] for each in run.manifest["stream"]["stages"][:stage])
    rows = run.table("prompts")
    rows = rows[rows["step"] <= end]
    last = rows[(rows["round"] == rows["round"].max()) & (rows["fate"] == "kept")]
    best = last.sort_values(["score", "prompt_id"], ascending=[False, True], kind="stable")
    population = _plain(best)
    seed = run.manifest["config"]["learning"]["seed_prompt"]
    chosen = _in_transcripts(run, end)
    if chosen is None and final:
        chosen = _in_checkpoint(run)
    if chosen is None:
        chosen = population[0]["text"] if population else seed
    return Prompts(chosen, seed, population, _lineage(_plain(rows), chosen))


def _in_transcripts(run: RunDirectory, step: int) -> str | None:
    rows = run.table("transcripts")
    rows = rows[(rows["step"] == step) & (rows["prompt"] == "learner") & (rows["at"] != "start")]
    return None if rows.empty else str(rows["system_prompt"].iloc[0])


def _in_checkpoint(run: RunDirectory) -> str | None:
    folder = run.checkpoints.current()
    if folder is None or not (folder / _FAST).is_file():
        return None
    return str(read_json(folder / _FAST)["population"][0]["text"])


def _lineage(rows: Sequence[PromptRow], chosen: str) -> list[PromptRow]:
    first: dict[int, PromptRow] = {}
    for row in rows:
        first.setdefault(row["prompt_id"], row)
    found = next((row for row in reversed(rows) if row["text"] == chosen), None)
    way: list[PromptRow] = []
    number = -1 if found is None else found["prompt_id"]
    while number in first and first[number] not in way:
        way.append(first[number])
        number = first[number]["parent_id"]
    return way[::-1]


def _plain(rows: pd.DataFrame) -> list[PromptRow]:
    """Rows as JSON holds them."""
    records: list[dict[str, Any]] = rows[list(_COLUMNS)].to_dict("records")
    return [row | {"score": None if math.isnan(row["score"]) else row["score"]} for row in records]
